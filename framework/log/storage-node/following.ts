import type { Step } from '../core/index.ts';
import { Fetcher } from './fetcher.ts';
import type { LogStreamReplica, ReplicaHost } from './replica.ts';

/** What a replica gets from others: starts, keeps and ends the fetching that its core wants. */
export class Following {
  private readonly replica: LogStreamReplica;
  private readonly host: ReplicaHost;
  private fetcher: Fetcher | undefined;
  /** Grows when the source must be asked anew, because commits are missing that will not come otherwise. */
  private fetches = 0;
  /** Where the catching up began that is going on. */
  private catchingUpFrom: number | undefined;

  constructor(replica: LogStreamReplica, host: ReplicaHost) {
    this.replica = replica;
    this.host = host;
  }

  /** Asks the source anew, the next time that `follow` is called. */
  again(): void {
    this.fetches++;
  }

  follow(kind: Step['kind']): void {
    const { assignment, peers } = this.replica;
    this.noteCatchingUp(kind === 'fetchCommitted' && peers.length > 0);
    if (assignment === undefined || (kind !== 'followPrimary' && kind !== 'fetchCommitted')) {
      this.stop();
      return;
    }
    const uncommitted = kind === 'followPrimary';
    const sources = (uncommitted ? peers.slice(0, 1) : peers).map((it) => it.address);
    const { epoch, sealed } = assignment;
    const purpose = `${kind} ${epoch} ${sealed} ${sources} ${this.fetches}`;
    if (this.fetcher?.purpose === purpose) return;
    this.fetcher?.stop();
    // A sealed log stream waits for it; otherwise what is served meanwhile comes first.
    const throttled = !uncommitted && !sealed;
    this.fetcher = new Fetcher(this.replica, this.host, {
      purpose,
      sources,
      uncommitted,
      throttled,
    });
  }

  stop(): void {
    this.fetcher?.stop();
    this.fetcher = undefined;
  }

  private noteCatchingUp(goesOn: boolean): void {
    if (goesOn === (this.catchingUpFrom !== undefined)) return;
    const { logger } = this.host.ports;
    const { logStreamId: logStream, core, assignment } = this.replica;
    const isWhole = core.committedEnd >= (assignment?.end ?? 0);
    const facts = { logStream, end: core.end, of: assignment?.end ?? 0 };
    if (goesOn) {
      this.catchingUpFrom = core.end;
      logger.log('info', 'a replica begins to catch up', facts);
    } else {
      const records = core.end - this.catchingUpFrom!;
      const what = isWhole ? 'a replica has caught up' : 'a replica catches up no further';
      this.catchingUpFrom = undefined;
      logger.log('info', what, { ...facts, records });
    }
  }
}
