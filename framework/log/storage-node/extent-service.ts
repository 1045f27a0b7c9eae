import type { CallContext } from '../../base/index.ts';
import { type ExtentRequest, ExtentResponse } from '../../wire/gen/log.ts';
import type { LogStreamReplica } from './replica.ts';
import { assertServes } from './serve.ts';

/**
 * Serves `LogStreams.Extent`: where the topic begins and ends as far as this replica vouches, once that is `atLeast` or
 * more. Until then it waits, for as long as the caller does.
 */
export async function serveExtent(
  replica: LogStreamReplica,
  { atLeast }: ExtentRequest,
  { signal }: CallContext,
): Promise<ExtentResponse> {
  assertServes(replica);
  while (replica.watermark < atLeast) {
    await replica.progressed.wait(signal);
    signal.throwIfAborted();
    assertServes(replica);
  }
  const { watermark: highWatermark } = replica;
  return ExtentResponse.create({ firstGlsn: replica.head.trimmed + 1, highWatermark });
}
