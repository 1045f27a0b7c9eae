import { VarlogError } from '../../base/index.ts';
import { type FenceLogStreamRequest, FenceLogStreamResponse } from '../../wire/gen/log.ts';
import type { LogStreamReplica } from './replica.ts';
import { notPrimary } from './replica-errors.ts';
import { assertServes } from './serve.ts';

/**
 * Serves `LogStreams.Fence`: from here on this primary takes no append with an older token.
 *
 * - It MUST refuse where this replica is not the primary of the epoch that is named: another one may take appends then.
 *   That is no loss to the caller. The metadata repository had the token before the caller learned of the epoch, so that every later
 *   epoch begins with it.
 * - It MUST NOT answer before all that was taken earlier is ordered: nothing of it appears later.
 */
export async function serveFence(
  replica: LogStreamReplica,
  { epoch, token }: FenceLogStreamRequest,
  signal: AbortSignal,
): Promise<FenceLogStreamResponse> {
  assertPrimary(replica, epoch);
  if (token < replica.fence) throw newerFence(replica, token);
  replica.fence = token;
  const { core } = replica;
  const { end } = core;
  while (core.committedEnd < end) {
    await replica.committed.wait(signal);
    signal.throwIfAborted();
    assertPrimary(replica, epoch);
  }
  return FenceLogStreamResponse.create({});
}

function assertPrimary(replica: LogStreamReplica, epoch: number): void {
  assertServes(replica);
  const { core, logStreamId, host, assignment } = replica;
  if (!core.serves(epoch)) throw notPrimary(logStreamId, host.storageNodeId, assignment);
}

function newerFence({ logStreamId, fence }: LogStreamReplica, token: number): VarlogError {
  return new VarlogError('CONDITION_FAILED', {
    what: `log stream ${logStreamId} is fenced by token ${fence}, and ${token} is older`,
    next: 'somebody took over since: stop, or fence anew with the next token',
    details: { condition: 'fence', logStream: logStreamId, expected: token, actual: fence },
    outcome: 'notAppended',
  });
}
