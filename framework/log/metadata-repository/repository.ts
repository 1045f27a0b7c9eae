import { BehaviorSubject, type Observable, type Subscription } from 'rxjs';
import {
  asVarlogError,
  type Handler,
  inTime,
  type LogCallOptions,
  VarlogError,
  Wakeups,
} from '../../base/index.ts';
import { RaftGroup, type RaftMetrics, type RaftStatus } from '../../raft/index.ts';
import { type Replica, startReplica } from '../../smr/index.ts';
import {
  definitionOf,
  FIRST_FEATURE_LEVEL,
  Metadata,
  type MetadataCommand,
  type MetadataResult,
  NEWEST_FEATURE_LEVEL,
  type Sender,
} from '../core/index.ts';
import { commandCodec, resultCodec } from '../metadata-codec.ts';
import { ofCluster } from '../of-cluster.ts';
import { StationHistograms } from '../station-histograms.ts';
import { LOG_TIMES } from '../timing.ts';
import { FeatureLevels } from './feature-levels.ts';
import { LeaderChangeLog } from './leader-change-log.ts';
import { type LimitsLeft, limitsLeft } from './limits-left.ts';
import { LogStreamChanges } from './log-stream-changes.ts';
import { MemberChanges } from './member-changes.ts';
import { MetadataMachine } from './metadata-machine.ts';
import { Orderer } from './orderer.ts';
import { orderingHandlers } from './ordering-service.ts';
import type { OrderingHistograms } from './proposed-cuts.ts';
import { publishedHandlers } from './published-service.ts';
import type {
  ExecuteOptions,
  KnownMember,
  MetadataRepositoryOptions,
  RepositoryAccess,
} from './repository-access.ts';
import { memberRemoved, notForSender, notLeader } from './repository-errors.ts';
import { RetentionTask } from './retention-task.ts';
import { snapshotCodec } from './snapshot-codec.ts';

const SNAPSHOT_EVERY = 10_000;

const AS_LEADER: ExecuteOptions = { sender: 'leader' };

/**
 * One member of the metadata repository: the cluster's metadata, replicated by Raft, and while this
 * member leads, the ordering of all topics.
 */
export class MetadataRepository implements RepositoryAccess {
  readonly options: MetadataRepositoryOptions;
  readonly metadata: Metadata;
  /** What only the leader can do to a log stream. */
  readonly changes: LogStreamChanges;
  readonly memberChanges: MemberChanges;
  /** To be served at this member's address. */
  readonly handlers: readonly Handler[];
  /** How long appends waited here, in all the terms that this member led. */
  readonly stations: OrderingHistograms = new StationHistograms(['cut', 'raft']);
  private readonly group: RaftGroup;
  private readonly replica: Replica<MetadataCommand, MetadataResult, MetadataMachine>;
  private readonly roles: Subscription;
  private failed: VarlogError | undefined;
  /** The last one that this member led. */
  private ledTerm = 0;
  private readonly orderers = new BehaviorSubject<Orderer | undefined>(undefined);
  private readonly leaderChanges: LeaderChangeLog;
  private readonly roleChanges = new Wakeups();
  private readonly levels: FeatureLevels;

  private constructor(
    options: MetadataRepositoryOptions,
    metadata: Metadata,
    group: RaftGroup,
    replica: Replica<MetadataCommand, MetadataResult, MetadataMachine>,
  ) {
    this.options = options;
    this.metadata = metadata;
    this.group = group;
    this.replica = replica;
    this.changes = new LogStreamChanges(this);
    this.memberChanges = new MemberChanges(this, group);
    this.leaderChanges = new LeaderChangeLog(options.memberId, options.ports.logger);
    this.handlers = [
      ...group.handlers,
      ...this.identified([...orderingHandlers(this), ...publishedHandlers(this, this.changes)]),
    ];
    this.levels = new FeatureLevels(this);
    new RetentionTask(this);
    this.roles = group.status$.subscribe((status) => this.followRole(status));
    // Its status would have to be kept true, for which the group is asked again and again.
    replica.state$.subscribe({ error: (error) => this.fail(error) });
  }

  static async start(options: MetadataRepositoryOptions): Promise<MetadataRepository> {
    const { ports, clusterId, memberId, members, directory, join = false } = options;
    const supportedLevel = checkedLevel(options.supportedLevel ?? NEWEST_FEATURE_LEVEL);
    const metadata = new Metadata({ supportedLevel });
    const machine = new MetadataMachine(metadata);
    let repository: MetadataRepository | undefined;
    let failure: VarlogError | undefined;
    const group = await RaftGroup.open({
      ports,
      groupId: `metadata-${clusterId}`,
      memberId,
      members,
      join,
      directory: `${directory}/raft`,
      electionTimeoutMs: LOG_TIMES.electionTimeoutMs,
      leaseReads: options.leaseReads ?? false,
      // With the heartbeats, so that this process and those of the nodes wake up once for both.
      heartbeatMs: LOG_TIMES.keepaliveMs,
      onHeartbeat: () => repository?.orderer?.keepAlive(),
      onFailure: (error) => {
        failure = error;
        repository?.fail(error);
      },
    });
    try {
      const replica = await startReplica({
        machine,
        log: group,
        codec: {
          command: commandCodec(supportedLevel),
          result: resultCodec,
          snapshot: snapshotCodec,
        },
        snapshotEvery: SNAPSHOT_EVERY,
        ports,
        onApplied: () => {
          const changes = machine.takeChanges();
          repository?.orderer?.applied(changes);
        },
      });
      repository = new MetadataRepository(options, metadata, group, replica);
      if (failure !== undefined) repository.fail(failure);
      return repository;
    } catch (error) {
      await group.close();
      throw error;
    }
  }

  /** Identity of the cluster: that of the Raft group which orders it. `undefined` until it is known. */
  get cluster(): string | undefined {
    return this.group.status.identity;
  }

  /** Handlers that refuse what is meant for another cluster. */
  identified(handlers: readonly Handler[]): Handler[] {
    const { memberId } = this.options;
    const own = (): string | undefined => {
      // One that has lost its disk does not know it, and never will.
      if (this.cluster === undefined) this.throwIfFailed();
      return this.cluster;
    };
    return ofCluster(handlers, own, `metadata repository member ${memberId}`);
  }

  get status(): RaftStatus {
    return this.group.status;
  }

  get members(): KnownMember[] {
    const { members, learners } = this.group.status;
    return members.map((it) => ({ ...it, learner: learners.includes(it.id) }));
  }

  /** Load and history of this member, for monitoring. */
  get metrics(): RaftMetrics {
    return this.group.metrics;
  }

  /**
   * Why this member ended, for good until it is started again: its disk failed or is not the one that the
   * others know, or it cannot apply a command. `undefined`: it has not.
   */
  get failure(): VarlogError | undefined {
    return this.failed;
  }

  /** What is wrong with this member, in words, although it goes on; `undefined` when nothing is. */
  get trouble(): string | undefined {
    const { resigned, voters } = this.group.status;
    const { diskTrouble } = this.group.metrics;
    if (voters.length === 0) return this.waitsToBeAdded();
    if (diskTrouble === 'full') {
      return "the disk of this metadata repository's member is full, or a limit of files is reached";
    }
    if (diskTrouble === 'stalled') {
      return "the disk of this metadata repository's member does not get on with a write";
    }
    return resigned === undefined ? undefined : `this member does not lead any more: ${resigned}`;
  }

  /** When the leader was heard last, by the clock of this process; `-Infinity` when `address` is not the leader's. */
  leaderHeardAt(address: string): number {
    const leads = this.group.status.leader?.address === address;
    return leads ? this.group.lastHeardAt(address) : Number.NEGATIVE_INFINITY;
  }

  /** What this member does as the leader; `undefined` while it is none. */
  get orderer(): Orderer | undefined {
    return this.orderers.value;
  }

  /** {@link orderer} as it changes. Completes with the member. */
  get orderer$(): Observable<Orderer | undefined> {
    return this.orderers.asObservable();
  }

  /** Throws why this member ended, if it did: whoever asks must turn to another one. */
  throwIfFailed(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  /** What keeps this member from serving; empty when it is ready. */
  notReady(): string[] {
    if (this.failed !== undefined) return [this.failed.message];
    const { leader } = this.group.status;
    const { trouble } = this;
    return [
      ...(trouble === undefined ? [] : [trouble]),
      ...(leader === undefined ? [this.leaderless()] : []),
    ];
  }

  /**
   * Changes the metadata, by way of the leader. A refusal is thrown as the error that it names. Rejects with
   * `FAILED_PRECONDITION`, before anything is proposed, when the sender may not send the command, or when some
   * member of the cluster is of a version that does not know it.
   */
  async execute(command: MetadataCommand, options: ExecuteOptions = {}): Promise<number> {
    const definition = definitionOf(command);
    const { sender = 'operator', ...limits } = options;
    if (!definition.senders.includes(sender)) throw notForSender(definition, sender);
    const left = this.limitsLeft(limits);
    if (definition.level > this.metadata.featureLevel) await this.checkLevel(command, left());
    await this.leaderKnown(left());
    const result = await this.replica.execute(command, left());
    if (command.kind !== 'cut' && command.kind !== 'cutTogether')
      this.tell(definition.describe(command), sender, result);
    if (result.ok) return result.value;
    throw new VarlogError(result.code, { what: result.what, next: result.next });
  }

  /** Reads the metadata as of now, wherever it was changed last (linearizable). */
  async read<T>(look: (metadata: Metadata) => T, options: LogCallOptions = {}): Promise<T> {
    const left = this.limitsLeft(options);
    await this.leaderKnown(left());
    return this.replica.query(({ metadata }) => look(metadata), {
      consistency: 'linearizable',
      ...left(),
    });
  }

  /** The orderer, once this member is known to have applied all that earlier leaders committed. */
  async confirmedOrderer(): Promise<Orderer> {
    await this.read(() => {});
    const { orderer } = this;
    if (orderer !== undefined && this.cluster !== undefined) return orderer;
    throw notLeader(this.group.status.leader?.address);
  }

  /**
   * A member that knows no leader, because it is cut off or was not added yet, waits for one, and then says so: in time for
   * its caller to ask another one, and before anything is in doubt.
   */
  private async leaderKnown({ signal, timeoutMs }: LimitsLeft): Promise<void> {
    if (this.status.leader !== undefined) return;
    const known = async (limit: AbortSignal): Promise<void> => {
      while (this.status.leader === undefined && this.failure === undefined && !limit.aborted)
        await this.roleChanges.wait(limit);
    };
    const late = (): VarlogError => notLeader(undefined);
    const ms = Math.min(timeoutMs, LOG_TIMES.leaderAwaitedMs);
    await inTime(this.options.ports.clock, ms, signal, known, late);
  }

  private limitsLeft(limits: LogCallOptions): () => LimitsLeft {
    const late = (): VarlogError => notLeader(this.status.leader?.address);
    return limitsLeft(this.options.ports.clock, limits, late);
  }

  private tell(what: string, sender: Sender, result: MetadataResult): void {
    const { ports, memberId: member } = this.options;
    const came = result.ok ? { value: result.value } : { refused: result.code };
    ports.logger.log('debug', 'metadata command', { member, what, sender, ...came });
  }

  /** Only what all members know may be proposed. */
  private async checkLevel(command: MetadataCommand, limits: LimitsLeft): Promise<void> {
    const { level, describe } = definitionOf(command);
    // It may have been agreed on just now, which this member has not heard of yet.
    await this.read(() => {}, limits);
    if (level > this.metadata.featureLevel) {
      throw await this.levels.notAgreed(describe(command), level);
    }
  }

  /** Stops to act as the leader, and to look who leads: this member is about to be closed. Idempotent. */
  leave(): void {
    this.roles.unsubscribe();
    this.lead(undefined);
    this.orderers.complete();
  }

  async close(): Promise<void> {
    this.leave();
    await this.replica.close();
    await this.group.close();
  }

  /**
   * A member that cannot apply what was committed must not lead, nor be taken for one that is well; its log is, so it
   * goes on to vote.
   */
  private fail(error: unknown): void {
    if (this.failed !== undefined) return;
    this.failed = failureOf(error);
    const { ports, memberId } = this.options;
    ports.logger.log('error', 'metadata repository failed', {
      member: memberId,
      error: this.failed.message,
    });
    this.lead(undefined);
    this.roleChanges.wake();
    this.group.resign(this.failed.message);
  }

  private leaderless(): string {
    const { awaited } = this.group.status;
    if (awaited.length === 0) return 'the metadata repository has no leader';
    const missing = this.options.members.filter((it) => awaited.includes(it.id));
    const who = missing.map((it) => `${it.id} at ${it.address}`).join(', ');
    return `a new metadata repository begins once all its members have met: this one has not met ${who}`;
  }

  private waitsToBeAdded(): string {
    const { memberId, members } = this.options;
    const address = members.find((it) => it.id === memberId)?.address;
    return `this member waits to be added: "varlog member add ${memberId}=${address}"`;
  }

  private followRole(status: RaftStatus): void {
    const { role, term } = status;
    this.leaderChanges.observe(status);
    this.roleChanges.wake();
    if (status.removed) this.fail(memberRemoved(this.options.memberId));
    this.orderer?.tellMembers(status.members.map((it) => it.address));
    if (role === 'leader' && this.orderer !== undefined && term === this.ledTerm) return;
    this.lead(undefined);
    if (role !== 'leader' || this.failed !== undefined) return;
    const orderer = new Orderer(this.metadata, this.options.ports, {
      cluster: () => this.cluster!,
      execute: (command) => this.execute(command, AS_LEADER),
      stations: this.stations,
      lastHeardAt: this.group.lastHeardAt,
      lostLeader: this.group.lostLeader,
    });
    this.ledTerm = term;
    orderer.tellMembers(status.members.map((it) => it.address));
    this.lead(orderer);
  }

  private lead(orderer: Orderer | undefined): void {
    if (orderer === this.orderer) return;
    this.orderer?.end();
    this.orderers.next(orderer);
  }
}

/** What the metadata itself says of a command that it cannot follow tells more than where the command was. */
function failureOf(failure: unknown): VarlogError {
  const error = asVarlogError(failure);
  return VarlogError.is(error.cause, 'APPLY_FAILED') ? error.cause : error;
}

function checkedLevel(level: number): number {
  const isKnown = level >= FIRST_FEATURE_LEVEL && level <= NEWEST_FEATURE_LEVEL;
  if (Number.isInteger(level) && isKnown) return level;
  throw new VarlogError('CONFIG_INVALID', {
    what: `a member cannot support feature level ${level}`,
    next: `choose one from ${FIRST_FEATURE_LEVEL} to ${NEWEST_FEATURE_LEVEL}`,
  });
}

/** Starts one member of the metadata repository. Serve its `handlers` at its address. */
export function startMetadataRepository(
  options: MetadataRepositoryOptions,
): Promise<MetadataRepository> {
  return MetadataRepository.start(options);
}
