import { sleep, VarlogError } from '../../base/index.ts';
import { cutsOf, type LogStreamState, noLogStream } from '../core/index.ts';
import { LOG_TIMES } from '../timing.ts';
import type { Orderer } from './orderer.ts';
import type { RepositoryAccess } from './repository-access.ts';
import { notLeader } from './repository-errors.ts';

const POLL_MS = 10;
/** So often a last cut is made that is refused because of other log streams. */
const CUT_TRIES = 4;

/** The leader's changes of one log stream, of which each follows from what was read before. */
export class LogStreamChanges {
  private readonly repository: RepositoryAccess;

  constructor(repository: RepositoryAccess) {
    this.repository = repository;
  }

  /**
   * Freezes the end of a log stream, after one last cut of what its replicas have reported.
   * Resolves with the GLSN of its last record. With a `revision`, only while it is at that.
   */
  async seal(id: number, byOperator: boolean, asked: { revision?: number; by?: string } = {}) {
    await this.cutOnce();
    return this.repository.execute({ kind: 'seal', id, byOperator, ...asked });
  }

  /**
   * Gives a sealed log stream the replicas that `choose` makes of those it has, once one of them that stay has
   * said that it holds everything. Rejects with `FAILED_PRECONDITION` when none does in time, when its
   * records might be lost all the same, or when somebody else changes it meanwhile.
   */
  async setReplicas(id: number, choose: (replicas: readonly number[]) => number[]): Promise<void> {
    const { logStreams } = await this.repository.read((it) => it);
    const stream = logStreams.get(id);
    if (stream === undefined) throw refused(noLogStream(id, logStreams.keys()));
    const { revision } = stream;
    const replicas = choose(stream.replicas);
    const { clock } = this.repository.options.ports;
    const deadline = clock.now() + LOG_TIMES.sealedTimeoutMs;
    let holders = this.holdersOf(stream);
    // Those that are up finish sealing right after the seal; no other reason is worth waiting for.
    while (stream.sealed && stream.end > 0 && !holders.some((it) => replicas.includes(it))) {
      if (clock.now() > deadline || stream.revision !== revision) break;
      await sleep(clock, POLL_MS);
      holders = this.holdersOf(stream);
    }
    await this.repository.execute({ kind: 'setReplicas', id, replicas, revision, holders });
  }

  /**
   * Lets a log stream that an operator sealed be opened again, and waits until it takes appends. Rejects
   * with `TIMEOUT` when it does not in time; it will as soon as enough of its replicas are up.
   */
  async release(id: number): Promise<void> {
    await this.repository.execute({ kind: 'release', id });
    await this.opened(id);
  }

  /**
   * Resolves when the primary of a log stream takes appends. Rejects with `TIMEOUT`, also when this member
   * does not lead any more: what was asked for has been done by then, and is not to be asked for again.
   */
  async opened(id: number): Promise<void> {
    const { clock } = this.repository.options.ports;
    const deadline = clock.now() + LOG_TIMES.openTimeoutMs;
    while (!this.isOpen(id)) {
      if (clock.now() > deadline) throw notOpened(id);
      await sleep(clock, POLL_MS);
    }
  }

  /** Waits until the members of a sealed log stream that are up have all of it, but not for long: nothing depends on it. */
  async allSealed(id: number): Promise<void> {
    const { clock } = this.repository.options.ports;
    const deadline = clock.now() + LOG_TIMES.sealedTimeoutMs;
    const isDone = (): boolean => {
      const stream = this.repository.metadata.logStreams.get(id);
      const { orderer } = this.repository;
      if (stream === undefined || orderer === undefined || !stream.sealed) return true;
      const holders = this.holdersOf(stream);
      const up = stream.members.filter((it) => orderer.isUp(it));
      return up.every((it) => holders.includes(it));
    };
    while (!isDone() && clock.now() < deadline) await sleep(clock, POLL_MS);
  }

  /** Waits until a node has said that a replica which was taken from it is gone. Rejects with `TIMEOUT`. */
  async removalConfirmed(id: number, node: number): Promise<void> {
    const { metadata, options } = this.repository;
    const { clock } = options.ports;
    const deadline = clock.now() + LOG_TIMES.openTimeoutMs;
    while (metadata.storageNodes.get(node)?.removed.includes(id) === true) {
      if (clock.now() > deadline) throw notRemoved(id, node);
      await sleep(clock, POLL_MS);
    }
  }

  /** Cuts what may be cut now. */
  private async cutOnce(): Promise<void> {
    const { planner } = this.orderer();
    for (let tries = 1; ; tries++) {
      const cuts = cutsOf(planner);
      try {
        await Promise.all(cuts.map((it) => this.repository.execute(it, { sender: 'leader' })));
        return;
      } catch (error) {
        planner.forgetProposals();
        // Another log stream was sealed, with which this one would have been cut: the rest can be cut without it.
        const isRefused = VarlogError.is(error, 'FAILED_PRECONDITION');
        if (!isRefused || tries === CUT_TRIES) throw error;
      }
    }
  }

  /** Replicas that are up and have said that they hold all of a sealed log stream. */
  private holdersOf({ id, replicas, epoch, end }: LogStreamState): number[] {
    const orderer = this.orderer();
    return replicas.filter((node) => {
      const report = orderer.planner.reportOf(id, node);
      const holdsAll = report?.state === 'sealed' && report.epoch === epoch && report.end === end;
      return holdsAll && orderer.isUp(node);
    });
  }

  private isOpen(id: number): boolean {
    const { logStreams } = this.repository.metadata;
    const stream = logStreams.get(id);
    if (stream === undefined) throw refused(noLogStream(id, logStreams.keys()));
    const report = this.repository.orderer?.planner.reportOf(id, stream.members[0]!);
    return !stream.sealed && report?.state === 'open' && report.epoch === stream.epoch;
  }

  private orderer(): Orderer {
    const { orderer, status } = this.repository;
    if (orderer === undefined) throw notLeader(status.leader?.address);
    return orderer;
  }
}

function refused({ code, what, next }: ReturnType<typeof noLogStream>): VarlogError {
  return new VarlogError(code, { what, next });
}

function notOpened(logStreamId: number): VarlogError {
  return new VarlogError('TIMEOUT', {
    what: `log stream ${logStreamId} is not open after ${LOG_TIMES.openTimeoutMs / 1000} s`,
    because: 'too few of its replicas are up, or they have not caught up',
    next: 'check its storage nodes with "varlog status": it opens by itself once they are well',
    details: { logStreamId },
  });
}

function notRemoved(logStreamId: number, node: number): VarlogError {
  return new VarlogError('TIMEOUT', {
    what: `storage node ${node} has not said that its replica of log stream ${logStreamId} is gone`,
    because: 'it is down, or its disk does not get on',
    next: 'check it with "varlog status": it removes the replica by itself once it is back',
    details: { logStreamId, storageNodeId: node },
  });
}
