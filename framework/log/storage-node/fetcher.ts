import { Backoff, ownTogether, sleep, VarlogError } from '../../base/index.ts';
import { FetchRequest, type FetchResponse, Replication } from '../../wire/gen/log.ts';
import { commitAll, retryCommits } from './commit.ts';
import { receive } from './receive.ts';
import { type LogStreamReplica, type ReplicaHost, transferCost } from './replica.ts';
import { restartAt } from './restart-at.ts';

const RETRY_MS_MIN = 20;
const RETRY_MS_MAX = 500;
/** A learner copies no faster, so that appends and reads go on beside it. */
const CATCH_UP_BYTES_PER_SECOND = 64 * 1024 * 1024;

/** Connections to a node, however many log streams follow one there. */
const LANES_PER_NODE = 4;

/** To begin costs as much of a turn as so many batches: where many log streams begin at once, others are not held up. */
const BEGIN_COST = 256;

/**
 * Pulls what a replica lacks from other replicas, for as long as it is wanted: the next source, or
 * the same again, whenever one ends or fails.
 */
export class Fetcher {
  /** What it fetches and from where: a replica that wants the same keeps it. */
  readonly purpose: string;
  private readonly replica: LogStreamReplica;
  private readonly host: ReplicaHost;
  private readonly uncommitted: boolean;
  private readonly throttled: boolean;
  private readonly stopped = new AbortController();

  constructor(
    replica: LogStreamReplica,
    options: {
      purpose: string;
      sources: readonly string[];
      uncommitted: boolean;
      /** Leaves disk and network to others for part of the time. */
      throttled: boolean;
    },
  ) {
    this.replica = replica;
    this.host = replica.host;
    this.purpose = options.purpose;
    this.uncommitted = options.uncommitted;
    this.throttled = options.throttled;
    this.run(options.sources).catch((error: unknown) => {
      if (!this.stopped.signal.aborted) replica.fail(error);
    });
  }

  stop(): void {
    this.stopped.abort();
  }

  private async run(sources: readonly string[]): Promise<void> {
    const { signal } = this.stopped;
    const { clock, random } = this.host.ports;
    const backoff = new Backoff(random, RETRY_MS_MIN, RETRY_MS_MAX);
    for (let turn = 0; sources.length > 0 && !signal.aborted; turn++) {
      const begins = this.host.transfers.take(BEGIN_COST);
      if (begins !== undefined) await begins;
      if (signal.aborted) return;
      const source = sources[turn % sources.length]!;
      const before = this.replica.core.end;
      try {
        await this.fetchFrom(source);
      } catch (error) {
        if (signal.aborted) return;
        if (!VarlogError.is(error)) throw error;
      }
      if (this.replica.core.end > before) backoff.reset();
      await backoff.pause(clock, signal);
    }
  }

  private fetchFrom(source: string): Promise<void> {
    const lane = this.replica.logStreamId % LANES_PER_NODE;
    const channel = this.host.fetchChannels.to(source, lane);
    const { core, topicId, logStreamId, assignment } = this.replica;
    const stream = channel.subscribe(
      Replication.Fetch,
      FetchRequest.create({
        clusterId: this.host.clusterId,
        topicId,
        logStreamId,
        epoch: assignment?.epoch ?? 0,
        fromLlsn: core.end + 1,
        fromVersion: core.version + 1,
        uncommitted: this.uncommitted,
      }),
      { signal: this.stopped.signal },
    );
    stream.receive((response) => this.take(response));
    return stream.closed;
  }

  /** In its turn: what all log streams are sent at once would hold up all else that the process does. */
  private take(response: FetchResponse): void | Promise<void> {
    const cost = transferCost(response.batches.map((it) => it.records));
    const turn = this.host.transfers.take(cost);
    return turn === undefined ? this.takeNow(response) : turn.then(() => this.takeNow(response));
  }

  private takeNow(response: FetchResponse): void | Promise<void> {
    if (this.stopped.signal.aborted) return undefined;
    if (response.firstLlsn !== 0) return this.startBehindTrim(response);
    return this.store(response);
  }

  private async startBehindTrim(response: FetchResponse): Promise<void> {
    const { signal } = this.stopped;
    await restartAt(this.replica, response, signal);
    if (!signal.aborted) await this.store(response);
  }

  private store(response: FetchResponse): void | Promise<void> {
    const { replica } = this;
    const { epoch } = replica.core;
    const own = ownTogether(response.batches.map((it) => it.records));
    for (const [i, { llsn, count, timestamp }] of response.batches.entries()) {
      if (receive(replica, llsn, epoch, timestamp, { count, bytes: own[i]! })) continue;
      throw new VarlogError('UNAVAILABLE', {
        what: `records ${llsn}… do not continue log stream ${replica.logStreamId}`,
      });
    }
    if (response.commits.length > 0) commitAll(replica, response.commits);
    retryCommits(replica);
    const bytes = response.batches.reduce((sum, it) => sum + it.records.length, 0);
    const { records } = replica.storage;
    if (this.uncommitted && bytes === 0) return undefined;
    const written = records.flushed(records.end);
    const room = this.host.memory.holdFetched(bytes, written);
    if (this.uncommitted) return room;
    // Whether a sealed replica is whole now is seen once its records are on disk.
    return written.then(() => {
      replica.advance();
      return this.throttled ? this.pauseFor(bytes) : undefined;
    });
  }

  /** Keeps to the rate: the source waits meanwhile. */
  private async pauseFor(bytes: number): Promise<void> {
    if (bytes === 0) return;
    const ms = (1_000 * bytes) / CATCH_UP_BYTES_PER_SECOND;
    await sleep(this.host.ports.clock, ms, this.stopped.signal).catch(() => {});
  }
}
