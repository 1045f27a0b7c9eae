import {
  type ClusterId,
  checkCount,
  checkFlag,
  checkFunctions,
  checkGivenNumber,
  checkNames,
  checkSignal,
  checkText,
  checkWord,
  type LogStreamId,
  type Ports,
  type StorageNodeId,
  sleep,
  type TopicId,
  type Tracing,
  unlessAborted,
  VarlogError,
} from '../../base/index.ts';
import * as admpb from '../../wire/gen/admpb.ts';
import {
  HealthRequest,
  Ordering,
  ReplaceStorageNodeRequest,
  RestoreTopicRequest,
} from '../../wire/gen/log.ts';
import type { Retention } from '../core/index.ts';
import { LOG_TIMES } from '../timing.ts';
import { Appender, type AppenderLimits } from './appender.ts';
import { type CallLimits, checkCall, checkTimeout, inSteps, withinLimits } from './call-limit.ts';
import { Catalog, describe, type TopicDescription } from './catalog.ts';
import { checkWhole } from './checked-option.ts';
import { ClientChannels } from './client-channels.ts';
import type { ClientContext } from './client-context.ts';
import { ClusterMembers, describeMember } from './cluster-members.ts';
import { type ClusterStatus, describeStatus } from './cluster-status.ts';
import { parseEndpoints } from './endpoints.ts';
import { type ImportedTopic, type ImportTarget, importTopic } from './import-topic.ts';
import { makeLogStreams } from './make-log-streams.ts';
import { askStorageNodes } from './node-probe.ts';
import {
  CONNECT_NAMES,
  CREATE_TOPIC_NAMES,
  IMPORT_NAMES,
  READY_NAMES,
  REPLACE_NODE_NAMES,
} from './option-names.ts';
import type { TopicOptions } from './record-log.ts';
import { RepositoryClient } from './repository-client.ts';
import { checkRetention } from './retention-option.ts';
import { Topic } from './topic.ts';

const POLL_MS = 50;

export interface ClientPorts extends Pick<Ports, 'clock' | 'random' | 'network'> {
  /** Hears of appends, each with its receipt. Default: nobody does. */
  readonly tracing?: Tracing;
}

export interface ConnectOptions extends CallLimits {
  /**
   * `host:port` of any nodes with the metadata role (IPv6: `[::1]:9092`), or `varlog://host:port,host:port/topic`.
   * One that answers is enough.
   */
  endpoints: string | readonly string[];
  /** The cluster that is expected. Default: whichever answers first, and no other one after it. */
  clusterId?: ClusterId;
  /** Identity of the cluster that is expected, as `varlog.cluster` of an earlier connection tells it. */
  cluster?: string;
  /** How much may be under way in appends. */
  appends?: AppenderLimits;
}

export interface CreateTopicOptions extends CallLimits {
  /** Appends scale with their number. Default 1. */
  logStreams?: number;
  /** Copies of every record. Default: the cluster's. */
  replicationFactor?: number;
  /** How many copies must be on disk before an append is acknowledged. Default `'majority'`. */
  acknowledge?: 'majority' | 'all';
  /** How much of it is kept, see {@link Topic.setRetention}. Default: all. */
  retention?: Retention;
  /**
   * GLSN of its first record, for a topic that takes the place of another one. Default 1. As with a retention, all
   * members of the metadata repository must know this.
   */
  first?: number;
}

export interface ImportOptions
  extends CallLimits,
    Pick<CreateTopicOptions, 'replicationFactor' | 'acknowledge'> {}

/** A client of one cluster. Holds connections and nothing else: close it, or bind it with `await using`. */
export class Varlog implements AsyncDisposable {
  /**
   * Which cluster this is, of all that were ever made: 128 random bits in hex. Everything that this client asks for
   * is refused by any other one, also by one that was made anew at the same addresses.
   */
  readonly cluster: string;
  /** The number by which people call it. */
  readonly clusterId: ClusterId;
  /** Who belongs to the metadata repository: to be listed and changed. */
  readonly members: ClusterMembers;
  private readonly context: ClientContext;
  private readonly closing: AbortController;
  private readonly topicId: TopicId | undefined;

  private constructor(
    { cluster, clusterId }: { cluster: string; clusterId: ClusterId },
    context: ClientContext,
    own: { closing: AbortController; topicId: TopicId | undefined },
  ) {
    this.cluster = cluster;
    this.clusterId = clusterId;
    this.context = context;
    this.members = new ClusterMembers(context);
    this.closing = own.closing;
    this.topicId = own.topicId;
  }

  /**
   * Connects to a cluster: some member must answer within `timeoutMs` (default 5,000). Rejects with
   * `UNREACHABLE`, `TIMEOUT`, `CLUSTER_MISMATCH` or `INVALID_ARGUMENT`.
   */
  static async connect(options: ConnectOptions & { ports: ClientPorts }): Promise<Varlog> {
    checkNames(options, CONNECT_NAMES, 'Varlog.connect');
    const {
      ports,
      clusterId,
      cluster,
      timeoutMs = LOG_TIMES.connectTimeoutMs,
      signal,
      appends,
    } = options;
    const { addresses, topicId } = parseEndpoints(options.endpoints);
    if (clusterId !== undefined) checkWhole(clusterId, 'clusterId');
    if (cluster !== undefined) checkText(cluster, 'cluster');
    const closing = new AbortController();
    const lifetime = closing.signal;
    const channels = new ClientChannels(ports.network);
    const repository = new RepositoryClient(ports, channels, addresses, {
      clusterId,
      cluster,
      lifetime,
    });
    const catalog = new Catalog(ports.clock, repository);
    const appender = new Appender(ports, channels, catalog, appends);
    const context = { ports, channels, repository, catalog, appender, lifetime };
    try {
      const what = 'connecting';
      const limits = { timeoutMs, what, ...(signal === undefined ? {} : { signal }) };
      const found = await repository.members(limits);
      return new Varlog(found, context, { closing, topicId });
    } catch (error) {
      channels.close();
      throw error;
    }
  }

  /**
   * A handle for a topic; without `id` for the one that `endpoints` names. Whether there is such a topic shows
   * at its first use: `TOPIC_NOT_FOUND`. With a codec, records are values: `varlog.topic(1, { codec: json(schema) })`. Throws
   * `INVALID_ARGUMENT`.
   */
  topic(id?: TopicId): Topic;
  topic<T, In = T>(id: TopicId | undefined, options: TopicOptions<T, In>): Topic<T, In>;
  topic<T, In>(
    id: TopicId | undefined = this.topicId,
    options?: TopicOptions<T, In>,
  ): Topic<T, In> | Topic {
    if (id !== undefined) return new Topic<T, In>(id, this.context, options);
    throw new VarlogError('INVALID_ARGUMENT', {
      what: 'no topic was named',
      next: 'give its id, or connect to varlog://host:port/topic',
      outcome: 'notAppended',
    });
  }

  /** All topics with their log streams, as of now. */
  async topics(limits: CallLimits = {}): Promise<TopicDescription[]> {
    checkCall(limits, 'topics');
    return (await this.context.catalog.list(limits)).map(describe);
  }

  /**
   * Makes a topic and its log streams. Rejects with `FAILED_PRECONDITION` when there are fewer storage nodes than
   * `replicationFactor`, and as {@link Topic.setRetention} does; no topic remains then. With an `outcome` of `unknown`, for example after a
   * connection broke, one may: it is not made twice by itself.
   */
  async createTopic(options: CreateTopicOptions = {}): Promise<Topic> {
    const { logStreams = 1, replicationFactor, acknowledge, retention, first, ...limits } = options;
    checkNames(options, CREATE_TOPIC_NAMES, 'createTopic');
    checkCount(first, 'first');
    checkCount(logStreams, 'logStreams');
    checkCopies(options);
    if (retention !== undefined) checkRetention(retention);
    const placed = replicationFactor === undefined ? {} : { replicationFactor };
    const { repository, catalog } = this.context;
    const what = 'making a topic';
    return this.inSteps(what, limits, async (own) => {
      const plan = { ...own, what };
      const { topic: made } = await repository.call(
        admpb.ClusterManager.AddTopic,
        admpb.AddTopicRequest.create({ acknowledgeAll: acknowledge === 'all' }),
        { ...plan, idempotent: false },
      );
      const topic = this.topic(made!.topicId);
      try {
        if (first !== undefined && first > 1) {
          const command = { kind: 'beginTopic', topicId: topic.id, glsn: first - 1 } as const;
          await repository.command(command, plan);
        }
        if (retention !== undefined) await topic.setRetention(retention, own);
        await makeLogStreams(this.context, topic.id, logStreams, { ...own, ...placed });
      } catch (error) {
        // Also for a caller who waits no longer: what is left of it would be taken for a topic.
        const deleted = this.deleteTopic(topic.id);
        await unlessAborted(deleted, own.signal).catch(() => {});
        throw error;
      }
      await catalog.refresh(own);
      return topic;
    });
  }

  /**
   * Makes a topic of what {@link Topic.export} gave: with the same records in the same order, at the positions that
   * they had, in one log stream; more can be added afterwards. LLSNs and timestamps are new. `open` is called twice:
   * everything is checked before anything is made, and rejected with `CORRUPT` or `FORMAT_UNKNOWN`, see
   * {@link checkExport}. Nobody else may append before it is done. Whatever fails then, the topic is deleted, also when
   * the time is over or the signal is aborted (then it rejects after 2 s at the latest); a client that is lost or closed
   * meanwhile leaves a topic that is to be deleted. All of it together takes `timeoutMs` at the most; without one it takes
   * as long as there are records.
   */
  importTopic(
    open: () => AsyncIterable<Uint8Array>,
    options: ImportOptions = {},
  ): Promise<ImportedTopic> {
    checkNames(options, IMPORT_NAMES, 'importTopic');
    checkFunctions({ open });
    checkCopies(options);
    const target: ImportTarget = {
      context: this.context,
      create: (first, own) => {
        const { signal, timeoutMs, ...made } = options;
        return this.createTopic({ ...made, ...own, ...(first !== undefined && { first }) });
      },
      remove: (topic) => this.deleteTopic(topic.id),
    };
    return importTopic(target, open, options);
  }

  /**
   * Deletes a topic. Its records are kept in the trash of their storage nodes for a day, unless configured otherwise:
   * until then {@link restoreTopic} brings it back.
   */
  async deleteTopic(id: TopicId, limits: CallLimits = {}): Promise<void> {
    checkCall(limits, 'deleteTopic');
    const { repository, catalog } = this.context;
    const request = admpb.UnregisterTopicRequest.create({ topicId: this.topic(id).id });
    const what = `deleting topic ${id}`;
    await this.inSteps(what, limits, async (own) => {
      const plan = { ...own, what, idempotent: false };
      await repository.call(admpb.ClusterManager.UnregisterTopic, request, plan);
      await catalog.refresh(own);
    });
  }

  /** Brings back a topic that was deleted, with its records. `TOPIC_NOT_FOUND` when it is not remembered. */
  async restoreTopic(id: TopicId, limits: CallLimits = {}): Promise<Topic> {
    checkCall(limits, 'restoreTopic');
    const topic = this.topic(id);
    const request = RestoreTopicRequest.create({ topicId: id });
    const what = `bringing back topic ${id}`;
    const { repository, catalog } = this.context;
    await this.inSteps(what, limits, async (own) => {
      await repository.call(Ordering.RestoreTopic, request, { ...own, what });
      await catalog.refresh(own);
    });
    return topic;
  }

  /**
   * Lets another disk take the place of a storage node's own, which is lost for good: `disk`, as the refused node
   * names it, or the next one that comes. The replicas are built anew on it, from the others. Rejects with
   * `FAILED_PRECONDITION` while the node is up with the disk that it has: that one would never be taken again, with all
   * that only it holds; and where it may have the only copy of records, because no other replica that is up has all of its
   * log stream. `force` gives it up all the same.
   */
  async replaceStorageNode(
    id: StorageNodeId,
    options: CallLimits & { disk?: string; force?: boolean } = {},
  ): Promise<void> {
    checkWhole(id, 'the id of a storage node');
    checkNames(options, REPLACE_NODE_NAMES, 'replaceStorageNode');
    const { disk = '', force = false, ...limits } = options;
    if (disk !== '') checkText(disk, 'disk');
    checkFlag(force, 'force');
    const request = ReplaceStorageNodeRequest.create({ storageNodeId: id, disk, force });
    const what = `replacing storage node ${id}`;
    await this.context.repository.call(Ordering.ReplaceStorageNode, request, { ...limits, what });
  }

  /**
   * Has all replicas moved away from a storage node: others are built and in sync before those go, primaries leave first.
   * Resolves when that is noted; {@link status} says how far it is and what it waits for, and `drained` in the end. It goes
   * on whoever leads, and also where the node is down. Rejects with `NOT_FOUND`, and as {@link Topic.setReplicationFactor}.
   */
  async drainStorageNode(id: StorageNodeId, limits: CallLimits = {}): Promise<void> {
    checkCall(limits, 'drainStorageNode');
    await this.drain(id, false, limits);
  }

  /** Takes {@link drainStorageNode} back. What was moved by then stays where it is; the node is given replicas again. */
  async undrainStorageNode(id: StorageNodeId, limits: CallLimits = {}): Promise<void> {
    checkCall(limits, 'undrainStorageNode');
    await this.drain(id, true, limits);
  }

  /**
   * Takes out a storage node that has no replicas, for good: its process is refused from then on. Rejects with
   * `FAILED_PRECONDITION` while it has some: drain it first.
   */
  async removeStorageNode(id: StorageNodeId, limits: CallLimits = {}): Promise<void> {
    checkCall(limits, 'removeStorageNode');
    checkWhole(id, 'the id of a storage node');
    const command = { kind: 'unregisterStorageNode', id } as const;
    await this.context.repository.command(command, {
      ...limits,
      what: `removing storage node ${id}`,
    });
  }

  /**
   * Lets the replica on a storage node be the primary of a log stream whenever that opens from now on and the replica
   * is up and holds all records; one that is open goes on as it is. From then on its primary is not changed for evenness.
   * Rejects with `LOG_STREAM_NOT_FOUND`,
   * `INVALID_ARGUMENT` where the node has no replica of it, and `FAILED_PRECONDITION` or `UNIMPLEMENTED` where members
   * of the metadata repository run a version that does not know this.
   */
  async preferPrimary(
    logStream: LogStreamId,
    storageNode: StorageNodeId,
    limits: CallLimits = {},
  ): Promise<void> {
    checkCall(limits, 'preferPrimary');
    checkWhole(logStream, 'the id of a log stream');
    checkWhole(storageNode, 'the id of a storage node');
    const command = { kind: 'preferPrimary', id: logStream, node: storageNode } as const;
    const what = `preferring storage node ${storageNode} as the primary of log stream ${logStream}`;
    await this.context.repository.command(command, { ...limits, what });
  }

  private inSteps<T>(
    what: string,
    limits: CallLimits,
    steps: (limits: CallLimits) => Promise<T>,
  ): Promise<T> {
    return inSteps(this.context.ports.clock, { ...limits, what }, steps);
  }

  private async drain(id: StorageNodeId, cancel: boolean, limits: CallLimits): Promise<void> {
    checkWhole(id, 'the id of a storage node');
    const command = { kind: 'drainStorageNode', id, cancel } as const;
    const what = cancel ? `keeping storage node ${id}` : `draining storage node ${id}`;
    await this.context.repository.command(command, { ...limits, what });
  }

  /** The cluster on one screen: members, storage nodes, topics with the state of each replica. */
  async status(limits: CallLimits = {}): Promise<ClusterStatus> {
    checkCall(limits, 'status');
    const { repository, channels } = this.context;
    const what = 'asking how the cluster is';
    return this.inSteps(what, limits, async (own) => {
      const { leader, members, ...names } = await repository.members(own);
      const described = await Promise.all(
        members.map((it) => describeMember(repository, it, own.signal)),
      );
      const known = { ...names, members: described };
      const request = HealthRequest.create({});
      const health = await repository.call(Ordering.Health, request, { ...own, what });
      const answers = await askStorageNodes(channels, health.storageNodes, own.signal);
      const status = { ...known, ...describeStatus(health, answers) };
      return leader === undefined ? status : { ...status, leader };
    });
  }

  /** Resolves when the metadata repository has a leader and at least so many storage nodes are up. */
  async ready(options: CallLimits & { storageNodes: number }): Promise<void> {
    const { ports, lifetime, repository } = this.context;
    checkNames(options, READY_NAMES, 'ready');
    const { storageNodes, ...rest } = options;
    checkGivenNumber(storageNodes, 'storageNodes', 0);
    const what = `waiting for ${storageNodes} storage nodes`;
    const limits = { timeoutMs: LOG_TIMES.callTimeoutMs, ...rest, what, lifetime };
    await withinLimits(ports.clock, limits, async (own) => {
      for (;;) {
        const { leader } = await repository.members(own);
        const what = 'asking which storage nodes are up';
        const health = await repository.call(Ordering.Health, HealthRequest.create({}), {
          ...own,
          what,
        });
        const alive = health.storageNodes.filter((it) => it.connected).length;
        if (leader !== undefined && alive >= storageNodes) return;
        await sleep(ports.clock, POLL_MS, own.signal);
      }
    });
  }

  /**
   * Lets go of everything at once. Tails end quietly. Appends without an answer and reads that are not through fail
   * with `CLOSED`; so does whatever is called afterwards. Idempotent.
   */
  async close(): Promise<void> {
    if (this.closing.signal.aborted) return;
    const error = new VarlogError('CLOSED', {
      what: 'the client was closed',
      next: 'close it when nothing uses it any more, or connect again',
    });
    this.closing.abort(error);
    this.context.appender.close(error);
    this.context.channels.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Throws `INVALID_ARGUMENT` for how a topic cannot be made, before what it is made of is looked at. */
function checkCopies({ replicationFactor, acknowledge, timeoutMs, signal }: ImportOptions): void {
  if (replicationFactor !== undefined) checkWhole(replicationFactor, 'replicationFactor');
  checkWord(acknowledge, 'acknowledge', ['majority', 'all']);
  if (timeoutMs !== undefined) checkTimeout(timeoutMs);
  checkSignal(signal);
}
