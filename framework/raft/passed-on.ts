import { checkSentBatch, type Handler, handler, VarlogError } from '../base/index.ts';
import { ChangeResponse, ProposeResponse, TailResponse } from '../wire/gen/raft.ts';
import { emptyError } from './commands.ts';
import type { RaftDriver } from './driver.ts';
import { type Membership, memberOrder } from './membership.ts';
import type { RaftMethods } from './methods.ts';
import type { Proposals } from './proposals.ts';
import { serveSnapshot } from './snapshot-transfer.ts';
import type { RaftStorage } from './storage.ts';
import type { TailReads } from './tail-reads.ts';

/** What a member answers with. */
export interface AnsweringParts {
  readonly driver: RaftDriver;
  readonly storage: RaftStorage;
  readonly proposals: Proposals;
  readonly reads: TailReads;
  readonly membership: Membership;
  /** Why it takes part no more; `undefined`: it does. */
  stopped(): VarlogError | undefined;
  /** Why it takes no command; `undefined`: it does. */
  refusal(): VarlogError | undefined;
}

/** Answers what other members pass on because this one may lead. */
export function passedOnHandlers(methods: RaftMethods, parts: AnsweringParts): Handler[] {
  const { driver, storage, proposals, reads, membership } = parts;
  const { handshake, commitNews } = driver;
  const assertTakes = (): void => {
    const refused = parts.refusal();
    if (refused !== undefined) throw refused;
  };
  return [
    handler(methods.propose, async ({ count, payload, timeoutMs, identity }) => {
      handshake.checkIdentity(identity);
      assertTakes();
      const batch = { count, bytes: payload };
      if (count === 0) throw emptyError();
      checkSentBatch(batch);
      const index = await proposals.append(batch, { timeoutMs }, true);
      commitNews.hurry();
      return ProposeResponse.create({ index });
    }),
    handler(methods.tail, async ({ timeoutMs, identity }) => {
      handshake.checkIdentity(identity);
      const stopped = parts.stopped();
      if (stopped !== undefined) throw stopped;
      if (driver.role !== 'leader') {
        throw new VarlogError('NOT_LEADER', { what: 'this member does not lead' });
      }
      const index = await reads.ask({ timeoutMs });
      commitNews.hurry();
      return TailResponse.create({ index });
    }),
    handler(methods.change, async (request) => {
      handshake.checkIdentity(request.identity);
      assertTakes();
      await membership.change(memberOrder(request), { timeoutMs: request.timeoutMs }, true);
      return ChangeResponse.create({});
    }),
    serveSnapshot(methods.snapshot, () => storage.snapshots.read(), handshake),
  ];
}
