import type { Message } from './core/index.ts';
import type { Handshake } from './handshake.ts';
import type { MemberContext } from './member-context.ts';
import { SnapshotDownload } from './snapshot-transfer.ts';

/** Fetches the states that leaders offer, one at a time, and then lets the core know of them. */
export class SnapshotReceiver {
  /** Snapshots of other members that replaced this one's log. */
  installed = 0;
  private readonly context: MemberContext;
  private readonly download: SnapshotDownload;
  private fetching: { from: number; abort: AbortController } | undefined;

  constructor(context: MemberContext, handshake: Handshake) {
    this.context = context;
    const { methods, ports, electionTicks, resources, storage } = context.options;
    this.download = new SnapshotDownload(methods.snapshot, {
      clock: ports.clock,
      // Who is silent for so long is not taken for the leader any more either.
      silenceMsMax: electionTicks * resources.ticker.tickMs,
      identity: () => context.raft.log.identity,
      checkIdentity: (identity) => handshake.checkIdentity(identity),
      folder: storage.snapshots,
    });
  }

  async receive(message: Message & { type: 'snapshot' }): Promise<void> {
    const { context } = this;
    const { storage, ports } = context.options;
    const { from } = message;
    const channel = context.channelTo(from);
    // What a new leader offers is worth more than the rest of what an old one did.
    if (this.fetching !== undefined && this.fetching.from !== from) this.stop();
    if (this.fetching !== undefined || storage.isInstalling || channel === undefined) return;
    const fetching = { from, abort: new AbortController() };
    this.fetching = fetching;
    try {
      const received = await this.download.fetch(channel, message.index, fetching.abort.signal);
      const { index, term: indexTerm, configuration } = received.snapshot;
      if (context.isClosed) return;
      storage.receive(received);
      if (index <= context.raft.log.commit) return storage.drop(index);
      const { leader, term } = context.raft;
      // Elected anew meanwhile, it offers the same.
      const offer = leader === from ? { ...message, term } : message;
      context.raft.step({ ...offer, index, indexTerm, configuration });
      // Who had all of it already does not need the state.
      const { snapshotIndex, last } = context.raft.log;
      if (snapshotIndex === index && last === index) this.installed++;
      else storage.drop(index);
      context.schedule();
    } catch (error) {
      // The leader offers it again.
      ports.logger.log('warn', 'raft.snapshot.failed', { from, error: String(error) });
    } finally {
      if (this.fetching === fetching) this.fetching = undefined;
    }
  }

  /** Gives up what is under way, for good. Resolves when nothing of it is open any more. */
  close(): Promise<void> {
    this.stop();
    return this.download.close();
  }

  /** Gives up what is under way. */
  stop(): void {
    this.fetching?.abort.abort();
    this.fetching = undefined;
  }
}
