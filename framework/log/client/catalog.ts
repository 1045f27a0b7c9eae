import {
  type Clock,
  type LogStreamId,
  type StorageNodeId,
  type TopicId,
  unlessAborted,
  VarlogError,
} from '../../base/index.ts';
import * as mrpb from '../../wire/gen/mrpb.ts';
import { LogStreamStatus, MetadataDescriptor } from '../../wire/gen/varlogpb.ts';
import { type CallLimits, withinLimits } from './call-limit.ts';
import type { RepositoryClient } from './repository-client.ts';

/** A log stream as the cluster's metadata tell it. */
export interface LogStreamDescription {
  readonly id: LogStreamId;
  /** Only an open one takes appends; both kinds can be read. */
  readonly state: 'open' | 'sealed';
  /** Storage nodes that hold it, the primary first. */
  readonly replicas: readonly StorageNodeId[];
}

export interface TopicDescription {
  readonly id: TopicId;
  readonly logStreams: readonly LogStreamDescription[];
}

/** A log stream with the addresses of its replicas. */
export interface LocatedLogStream extends LogStreamDescription {
  /** In the order of `replicas`. */
  readonly addresses: readonly string[];
}

export interface LocatedTopic {
  readonly id: TopicId;
  readonly logStreams: readonly LocatedLogStream[];
}

/** The client's copy of the cluster's metadata: who holds what. Renewed when something does not fit. */
export class Catalog {
  private readonly clock: Clock;
  private readonly repository: RepositoryClient;
  private topics = new Map<TopicId, LocatedTopic>();
  private logStreams = new Map<LogStreamId, LocatedLogStream>();
  private current: Promise<void> | undefined;
  private following: Promise<void> | undefined;
  /** Grows with every renewal. */
  generation = 0;

  constructor(clock: Clock, repository: RepositoryClient) {
    this.clock = clock;
    this.repository = repository;
  }

  /** All topics, as of now. */
  async list(limits: CallLimits = {}): Promise<LocatedTopic[]> {
    await this.renew(limits);
    return [...this.topics.values()];
  }

  /** What is known of a topic without asking. */
  known(id: TopicId): LocatedTopic | undefined {
    return this.topics.get(id);
  }

  /** A topic; asks before it rejects with `TOPIC_NOT_FOUND`. */
  async topic(id: TopicId, limits: CallLimits = {}): Promise<LocatedTopic> {
    if (!this.topics.has(id)) await this.renew(limits);
    const topic = this.topics.get(id);
    if (topic === undefined) throw this.noTopic(id);
    return topic;
  }

  /** What is known of a log stream of any topic. */
  logStream(id: LogStreamId): LocatedLogStream | undefined {
    return this.logStreams.get(id);
  }

  noTopic(id: TopicId): VarlogError {
    const known = [...this.topics.keys()];
    return new VarlogError('TOPIC_NOT_FOUND', {
      what: `there is no topic ${id}`,
      because: known.length === 0 ? 'the cluster has no topics' : `there are: ${known.join(', ')}`,
      next: 'make one with varlog.createTopic() or "varlog topic create"',
      outcome: 'notAppended',
      details: { topic: id },
    });
  }

  /** Why the metadata cannot be read now, as far as that was found. */
  get trouble(): unknown {
    return this.repository.trouble;
  }

  /**
   * Reads the metadata anew: what was true when this was called is known when it resolves. With `timeoutMs` it is tried for
   * so long; otherwise for as long as one call takes by itself.
   */
  async renew(limits: CallLimits = {}): Promise<void> {
    // A hundred thousand appends may wait at once.
    if (limits.timeoutMs === undefined && limits.signal === undefined) return this.joinRenewal();
    const { timeoutMs = Infinity } = limits;
    const plan = { ...limits, timeoutMs, what: "reading the cluster's metadata" };
    await withinLimits(this.clock, plan, async ({ signal }) => {
      let last: unknown;
      for (;;) {
        try {
          // It goes on for others who wait for it.
          return await unlessAborted(this.joinRenewal(), signal);
        } catch (error) {
          if (signal.aborted) throw VarlogError.is(error, 'TIMEOUT') ? (last ?? error) : error;
          if (limits.timeoutMs === undefined || !isUnanswered(error)) throw error;
          last = error;
        }
      }
    });
  }

  /** The same behind something that is done, whatever becomes of this: for whoever asks next. Never rejects. */
  async refresh(limits: CallLimits): Promise<void> {
    await this.renew(limits).catch(() => {});
  }

  /** One call at a time; whoever asks while one is under way shares the next one. */
  private joinRenewal(): Promise<void> {
    if (this.current === undefined) {
      this.current = this.load().finally(() => {
        this.current = undefined;
      });
      return this.current;
    }
    this.following ??= this.current
      .catch(() => {})
      .then(() => {
        this.following = undefined;
        return this.joinRenewal();
      });
    return this.following;
  }

  private async load(): Promise<void> {
    await this.repository.members();
    const { metadata } = await this.repository.call(
      mrpb.MetadataRepositoryService.GetMetadata,
      mrpb.GetMetadataRequest.create({}),
      { what: "reading the cluster's metadata" },
    );
    this.take(metadata ?? MetadataDescriptor.create({}));
    this.generation++;
  }

  private take(metadata: MetadataDescriptor): void {
    const addresses = new Map<StorageNodeId, string>();
    for (const { storageNode } of metadata.storageNodes) {
      if (storageNode !== null) addresses.set(storageNode.storageNodeId, storageNode.address);
    }
    this.logStreams = new Map();
    for (const { logStreamId: id, status, replicas } of metadata.logStreams) {
      const holders = replicas.map((it) => it.storageNodeId).filter((it) => addresses.has(it));
      this.logStreams.set(id, {
        id,
        state: status === LogStreamStatus.LS_STATUS_RUNNING ? 'open' : 'sealed',
        replicas: holders,
        addresses: holders.map((it) => addresses.get(it)!),
      });
    }
    this.topics = new Map();
    for (const { topicId: id, logStreams } of metadata.topics) {
      const own = logStreams.map((it) => this.logStreams.get(it)).filter((it) => it !== undefined);
      this.topics.set(id, { id, logStreams: own });
    }
  }
}

/** Whether a call has had its time, and no member has answered. */
function isUnanswered(error: unknown): boolean {
  return VarlogError.is(error, 'UNREACHABLE') || VarlogError.is(error, 'TIMEOUT');
}

/** A topic for its users to see. */
export function describe({ id, logStreams }: LocatedTopic): TopicDescription {
  return {
    id,
    logStreams: logStreams.map((it) => ({ id: it.id, state: it.state, replicas: it.replicas })),
  };
}
