import { Backoff, callOnce, VarlogError } from '../../base/index.ts';
import {
  type Assignment,
  DescribeReplicaRequest,
  type Peer,
  Replication,
} from '../../wire/gen/log.ts';
import type { ReplicaNode } from './replica.ts';

const FIRST_TRY_MS = 1_000;
const RETRY_MS_MAX = 60_000;
const CALL_TIMEOUT_MS = 2_000;
/** A replica that failed for another reason is not helped by another copy, nor by another try. */
const CURABLE = new Set(['CORRUPT', 'DISK_FAILED', 'DISK_FULL']);

/** What rebuilding needs of the storage node. */
export interface RebuilderHost {
  readonly node: ReplicaNode;
  /** Why the replica serves nothing; `undefined` when there is none, or it is well. */
  failureOf(logStreamId: number): VarlogError | undefined;
  /** What is wanted of it, with the newest commit that was heard of. */
  assignmentOf(logStreamId: number): Assignment | undefined;
  /** Puts its files aside and begins anew, with nothing. */
  beginAnew(logStreamId: number): Promise<void>;
  /** Opens it with the files that it has. */
  openAgain(logStreamId: number): Promise<void>;
}

/**
 * Has failed replicas begin anew with nothing, to learn from the others, once one of these is known
 * to hold all that was ever ordered. A replica that begins anew has taken over no epoch: it counts
 * for nothing before the log stream was sealed, it holds the sealed end, and the next epoch names it.
 *
 * Where no other is whole, one whose disk failed is opened with the files that it has, as a new process would: what it
 * finds there it makes durable again before it vouches for it.
 */
export class Rebuilder {
  private readonly host: RebuilderHost;
  private readonly stopped = new AbortController();
  /** Log streams whose replica waits for a good copy. */
  private readonly waiting = new Set<number>();
  /** How long each waits when its replica failed again. */
  private readonly backoffs = new Map<number, Backoff>();

  constructor(host: RebuilderHost) {
    this.host = host;
  }

  /** A replica failed: sees to it until it is well, or taken away. */
  attend(logStreamId: number): void {
    const failure = this.host.failureOf(logStreamId);
    if (failure === undefined || !CURABLE.has(failure.code)) return;
    if (this.waiting.has(logStreamId) || this.stopped.signal.aborted) return;
    this.waiting.add(logStreamId);
    this.rebuild(logStreamId)
      .catch((error: unknown) =>
        this.log('error', 'a replica cannot be rebuilt', logStreamId, { error: String(error) }),
      )
      .finally(() => {
        this.waiting.delete(logStreamId);
        // It may have failed again while it was begun.
        this.attend(logStreamId);
      });
  }

  stop(): void {
    this.stopped.abort();
  }

  private async rebuild(logStreamId: number): Promise<void> {
    const { host } = this;
    const { signal } = this.stopped;
    const isFull = host.failureOf(logStreamId)?.code === 'DISK_FULL';
    const { clock, random } = host.node.ports;
    const known = isFull ? undefined : this.backoffs.get(logStreamId);
    const again = known ?? new Backoff(random, FIRST_TRY_MS, RETRY_MS_MAX);
    this.backoffs.set(logStreamId, again);
    const looks = new Backoff(random, FIRST_TRY_MS, RETRY_MS_MAX);
    let logged = false;
    // A disk that fails again and again is not written full with copies.
    await again.pause(clock, signal);
    for (;;) {
      const assignment = host.assignmentOf(logStreamId);
      const failure = host.failureOf(logStreamId);
      if (signal.aborted || failure === undefined) return;
      // There was no room to open it: nothing is wrong with what it has.
      if (failure.code === 'DISK_FULL') return host.openAgain(logStreamId);
      const source = assignment && (await this.goodCopy(assignment));
      if (signal.aborted) return;
      if (source !== undefined) {
        const from = source.storageNodeId;
        this.log('info', 'a failed replica begins anew from a good copy', logStreamId, { from });
        return host.beginAnew(logStreamId);
      }
      if (failure.code === 'DISK_FAILED') {
        this.log(
          'warn',
          'no replica is known to be a good copy: it is opened again',
          logStreamId,
          {},
        );
        return host.openAgain(logStreamId);
      }
      if (!logged) this.log('warn', 'no replica is known to be a good copy', logStreamId, {});
      logged = true;
      await looks.pause(clock, signal);
    }
  }

  /** A replica that holds everything that was ordered, as far as this node has heard. */
  private async goodCopy({
    topicId,
    logStreamId,
    version,
    ...it
  }: Assignment): Promise<Peer | undefined> {
    const { network } = this.host.node.ports;
    const request = DescribeReplicaRequest.create({ topicId, logStreamId });
    for (const peer of [...it.members, ...it.learners]) {
      if (peer.storageNodeId === this.host.node.storageNodeId) continue;
      const cluster = (): string | undefined => this.host.node.cluster;
      const options = { cluster, timeoutMs: CALL_TIMEOUT_MS, signal: this.stopped.signal };
      try {
        const found = await callOnce(network, peer.address, Replication.Describe, request, options);
        if (found.version >= version) return peer;
      } catch (error) {
        if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
      }
    }
    return undefined;
  }

  private log(
    level: 'info' | 'warn' | 'error',
    what: string,
    logStream: number,
    facts: Record<string, unknown>,
  ): void {
    this.host.node.ports.logger.log(level, what, { logStream, ...facts });
  }
}
