import type { Observable } from 'rxjs';
import {
  asVarlogError,
  checkCount,
  checkLimits,
  checkPosition,
  checkSignal,
  encodeBatch,
  type Followed,
  type Handler,
  type LogCallOptions,
  type OrderedLog,
  VarlogError,
} from '../base/index.ts';
import { DiskGuard, timeSyncs } from '../store/index.ts';
import { checkCommands, closedError } from './commands.ts';
import { RaftDriver } from './driver.ts';
import {
  checkCall,
  checkGroupOptions,
  initialConfiguration,
  type RaftGroupOptions,
  refusalOfCall,
} from './group-options.ts';
import { removed } from './handshake-errors.ts';
import { type HostResources, ofItsOwn } from './host-resources.ts';
import { LogSubscribers } from './log-subscribers.ts';
import type { Member } from './member.ts';
import { type MemberOrder, Membership } from './membership.ts';
import { methodsOf, type RaftMethods } from './methods.ts';
import { metricsOf, type RaftMetrics } from './metrics.ts';
import { watchOwnFolder } from './own-folder.ts';
import { passedOnHandlers } from './passed-on.ts';
import { Proposals } from './proposals.ts';
import { firstIdentity, MemberList, type RaftPositions, type RaftStatus } from './status.ts';
import { StatusFeed } from './status-feed.ts';
import { RaftStorage } from './storage.ts';
import { TailReads } from './tail-reads.ts';
import { RAFT_TIMES, timingOf } from './timing.ts';
import type { TurnPart } from './turn-part.ts';

const QUEUED_BYTES_MAX = 64 * 1024 * 1024;
const UNCOMMITTED_BYTES_MAX = 32 * 1024 * 1024;

/** One member of a Raft group: a totally ordered, durable log that survives the loss of a minority. */
export class RaftGroup implements OrderedLog, AsyncDisposable {
  /** What the process is to serve at this member's address; several groups may share a server. */
  readonly handlers: readonly Handler[];
  /** The newest status at once, and again whenever role, term, leader or members change. Completes on close. */
  readonly status$: Observable<RaftStatus>;
  /**
   * How far the log is committed here, and applied by whoever follows it; at once, and again whenever
   * one of them moves. Completes on close.
   */
  readonly positions$: Observable<RaftPositions>;
  /**
   * When the member that listens at `address` was heard last, in milliseconds of this process's clock; `-Infinity`: never.
   * Who has other work with its process need not ask that then whether it lives.
   */
  readonly lastHeardAt: (address: string) => number;
  private readonly feed: StatusFeed;
  private readonly driver: RaftDriver;
  private readonly storage: RaftStorage;
  private readonly proposals: Proposals;
  private readonly reads: TailReads;
  private readonly subscribers: LogSubscribers;
  private readonly membership: Membership;
  private readonly members = new MemberList();
  private readonly groupId: string;
  private readonly timeoutMs: number;
  private stopped: VarlogError | undefined;
  private closing: Promise<void> | undefined;

  private constructor(
    options: RaftGroupOptions,
    methods: RaftMethods,
    driver: RaftDriver,
    storage: RaftStorage,
  ) {
    const timeoutMs = options.timeoutMs ?? RAFT_TIMES.callTimeoutMs;
    this.groupId = options.groupId;
    this.timeoutMs = timeoutMs;
    this.driver = driver;
    this.lastHeardAt = (address) => driver.lastHeardAt(address);
    this.storage = storage;
    this.subscribers = new LogSubscribers(driver.raft.log, storage, () =>
      this.feed.tellPositions(),
    );
    this.reads = new TailReads(driver, { timeoutMs });
    this.proposals = new Proposals(driver, {
      forward: options.forward ?? true,
      queuedBytesMax: options.queuedBytesMax ?? QUEUED_BYTES_MAX,
      timeoutMs,
    });
    this.membership = new Membership(driver, { timeoutMs });
    this.feed = new StatusFeed(() => this.status);
    this.status$ = this.feed.status$;
    this.positions$ = this.feed.positions$;
    const answers = passedOnHandlers(methods, {
      driver,
      storage,
      proposals: this.proposals,
      reads: this.reads,
      membership: this.membership,
      stopped: () => this.stopped,
      refusal: () => this.refusal(),
    });
    this.handlers = [driver.handler, driver.handshake.handler, ...answers];
    const publishing: TurnPart = {
      afterTurn: () => {
        this.publish();
        this.feed.tellPositions();
      },
    };
    driver.add(this.proposals, this.reads, this.subscribers, this.membership, publishing);
  }

  /**
   * Opens this member. Serve its `handlers` at its address for it to take part. Rejects with
   * `INVALID_ARGUMENT`, `IDENTITY_MISMATCH` (the folder belongs to another member),
   * `DIRECTORY_IN_USE` or `CORRUPT`. Groups that share a process are opened by a {@link RaftHost}.
   */
  static async open(
    options: RaftGroupOptions,
    resources: HostResources = ofItsOwn(options),
  ): Promise<RaftGroup> {
    checkGroupOptions(options);
    const { groupId, memberId, members, directory } = options;
    const { syncs, journal } = resources;
    // The disk of a host is guarded by the host, which watches its folder.
    const guard = journal === undefined ? new DiskGuard(options.ports.disk) : undefined;
    const disk = guard ?? options.ports.disk;
    const ports = { ...options.ports, disk };
    const methods = methodsOf(groupId);
    const { electionTicks, heartbeatTicks, leaseMs } = timingOf(options);
    let fail = (error: VarlogError): void => {
      options.onFailure?.(error);
    };
    const label = `raft group ${groupId} member ${memberId}`;
    const storage = await RaftStorage.open({
      disk: timeSyncs(disk, ports.clock, syncs),
      syncs,
      clock: ports.clock,
      retention: options.retain,
      directory,
      label,
      onFailure: (error) => fail(error),
      journal,
    });
    const driver = await RaftDriver.start({
      label,
      directory,
      ports,
      groupId,
      memberId,
      address: members.find((it) => it.id === memberId)!.address,
      initial: initialConfiguration(members, options.join ?? false),
      methods,
      storage,
      resources,
      electionTicks,
      heartbeatTicks,
      uncommittedBytesMax: UNCOMMITTED_BYTES_MAX,
      leaseMs,
      preferredLeader: options.preferredLeader,
      onHeartbeat: options.onHeartbeat ?? (() => {}),
      onFailure: (error) => fail(error),
    }).catch(async (error: unknown) => {
      await storage.close();
      throw error;
    });
    const group = new RaftGroup(options, methods, driver, storage);
    driver.handshake.begin().catch((error: unknown) => fail(asVarlogError(error)));
    fail = (error) => {
      if (group.stopped !== undefined) return;
      ports.logger.log('error', 'raft.failed', { group: groupId, error: error.message });
      group.stop(error);
      options.onFailure?.(error);
    };
    if (guard === undefined) return group;
    const watch = watchOwnFolder(directory, { ports, disk: guard, syncs }, (error) => fail(error));
    group.status$.subscribe({ complete: () => watch.stop() });
    return group;
  }

  get status(): RaftStatus {
    const { raft, leader } = this.driver;
    return {
      role: this.stopped === undefined ? raft.role : 'closed',
      term: raft.term,
      identity: raft.log.identity || undefined,
      leader: this.stopped === undefined ? leader : undefined,
      voters: raft.configuration.voters,
      learners: raft.configuration.learners,
      members: this.members.of(raft.configuration),
      changing: raft.log.isChanging,
      removed: this.driver.handshake.isRemoved,
      awaited: this.driver.handshake.awaited,
      destroyedAt: this.driver.handshake.destroyedAt,
      commit: raft.log.commit,
      applied: this.subscribers.applied,
      first: raft.log.baseIndex + 1,
      last: raft.log.last,
      resigned: this.driver.handover.resigned,
    };
  }

  /** Load and history of this member, for monitoring. */
  get metrics(): RaftMetrics {
    return metricsOf(this.driver, this.storage, this.proposals);
  }

  /** The leader before, when this member left it because its connection broke, or it was silent, and for how long it was so. */
  get lostLeader(): RaftDriver['lostLeader'] {
    return this.driver.lostLeader;
  }

  /**
   * Which group this is, of all that were ever made: 32 hex digits, made at random with the group's first entry, and
   * kept for ever, also by `restoreLostMajority`. Waits until it is known; rejects with what ended the member,
   * `UNAVAILABLE` when the time is up, or the signal's reason.
   */
  async identity(options?: LogCallOptions): Promise<string> {
    if (this.stopped !== undefined) throw this.stopped;
    checkCall('identity', options);
    checkLimits(options);
    const { clock } = this.driver.options.ports;
    const known = firstIdentity(this.status$, clock, { timeoutMs: this.timeoutMs, ...options });
    return known.catch((error: unknown) => {
      throw this.stopped ?? error;
    });
  }

  /**
   * Appends commands. Resolves with the index of the first one when they are committed (paper §5.3,
   * §5.4). At a member that does not lead they are passed on to the leader, unless `forward` is off:
   * `NOT_LEADER`.
   */
  append(commands: readonly Uint8Array[], options?: LogCallOptions): Promise<number> {
    const refused = this.refusal() ?? refusalOfCall('append', options) ?? checkCommands(commands);
    if (refused !== undefined) return Promise.reject(refused);
    return this.proposals.append(encodeBatch(commands), options);
  }

  follow(from: number, options?: { signal?: AbortSignal }): AsyncIterable<Followed> {
    checkPosition(from, 'from');
    checkCall('follow', options);
    checkSignal(options?.signal);
    return this.subscribers.follow(from, options?.signal);
  }

  /** Linearizable: a majority confirms the leader for it (ReadIndex, thesis §6.4), or its lease does. */
  tail(options?: LogCallOptions): Promise<number> {
    const refused = this.stopped ?? this.removal() ?? refusalOfCall('tail', options);
    return refused === undefined ? this.reads.ask(options) : Promise.reject(refused);
  }

  /**
   * Lets a snapshot stand for entries (paper §7). Rejects with `INVALID_ARGUMENT` for a position that is not committed, and
   * with what `state` throws: then nothing has changed. Some entries before the snapshot stay, for members that lag a little.
   */
  async compact(position: number, state: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
    if (this.stopped !== undefined) throw this.stopped;
    const { log } = this.driver.raft;
    // This member may not know yet of a commit that its caller knows of.
    const tail = position <= log.commit ? log.commit : await this.tail();
    if (!Number.isSafeInteger(position) || position > tail) {
      throw new VarlogError('INVALID_ARGUMENT', {
        what: `a snapshot cannot stand for entry ${position}: ${tail} are committed`,
        next: 'take it of what was delivered',
      });
    }
    await this.subscribers.reached(position);
    await this.driver.compact(position, state).catch((error: unknown) => {
      throw this.stopped ?? error;
    });
  }

  /**
   * Hands leadership to member `to`, or to any other one (thesis §3.10). Resolves when this member does not lead any
   * more. Rejects with `NOT_LEADER` at a member that does not lead, `FAILED_PRECONDITION` when there is no such
   * member that votes, and `TIMEOUT` when it did not take over within an election timeout: this member leads on.
   */
  async transferLeadership(to?: number): Promise<void> {
    if (this.stopped !== undefined) throw this.stopped;
    checkCount(to, 'to');
    await this.driver.handover.transfer(to).catch((error: unknown) => {
      throw this.stopped ?? error;
    });
  }

  /**
   * To be called when what runs on this member failed, its state machine for example: the member hands leadership over,
   * steps down when nobody takes it within an election timeout, and does not campaign again until it is opened
   * anew. It keeps the log, votes, and answers as before. `reason` is seen in the status and the metrics.
   */
  resign(reason: string): void {
    if (this.stopped !== undefined || this.driver.handover.resigned !== undefined) return;
    this.driver.handover.resigned = reason;
    const { logger } = this.driver.options.ports;
    logger.log('error', 'raft.resigned', { group: this.groupId, reason });
    this.driver.schedule();
    this.feed.tell();
  }

  /** Whether this member leads, as far as it knows: another one may have been elected meanwhile. */
  leads(): boolean {
    return this.stopped === undefined && this.driver.raft.role === 'leader';
  }

  /**
   * Adds a member, which was opened with `join`: it gets the log first, and votes as soon as it has caught
   * up (paper §6, thesis §4.2.1). With `replaces` it takes the place of a member in the same step. Resolves
   * when that is committed; asked for again it does no harm. Rejects with `NOT_LEADER` (nothing was changed) or
   * `APPEND_UNKNOWN` (it may have been begun). Ids are never used twice.
   */
  addMember(member: Member, options?: LogCallOptions & { replaces?: number }): Promise<void> {
    const refused = refusalOfCall('addMember', options, member);
    if (refused !== undefined) return Promise.reject(refused);
    return this.change({ kind: 'add', member, replaces: options?.replaces }, options);
  }

  /** Adds a member that receives the log and does not vote, or takes a voter its vote. Like {@link addMember}. */
  addLearner(member: Member, options?: LogCallOptions): Promise<void> {
    const refused = refusalOfCall('addLearner', options, member);
    if (refused !== undefined) return Promise.reject(refused);
    return this.change({ kind: 'learn', member }, options);
  }

  /**
   * Removes a member, also the leader, which then hands over (thesis §4.2.2). Like {@link addMember}; the
   * only voter cannot be removed, nor one without whom no majority of the others answers: `FAILED_PRECONDITION`. Close
   * the member itself afterwards.
   */
  removeMember(id: number, options?: LogCallOptions): Promise<void> {
    const refused = refusalOfCall('removeMember', options, { id, address: 'that it has' });
    if (refused !== undefined) return Promise.reject(refused);
    return this.change({ kind: 'remove', member: { id, address: '' } }, options);
  }

  /**
   * Leaves the process: ends all calls, timers and streams, and lets go of the folder. Who called or calls it is told
   * `because`; by default that it is closed.
   */
  close(because: VarlogError = closedError(this.groupId)): Promise<void> {
    // First: whom it tells may close it too.
    this.stop(because);
    this.closing ??= this.finish();
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async finish(): Promise<void> {
    await this.driver.handshake.settled();
    await this.driver.snapshots.close();
    await this.storage.close();
  }

  private stop(error: VarlogError): void {
    if (this.stopped !== undefined) return;
    this.stopped = error;
    this.driver.close();
    this.proposals.stop(error);
    this.reads.stop(error);
    this.membership.stop(error);
    this.subscribers.stop(error);
    this.feed.tell();
    this.feed.complete();
  }

  private change(order: MemberOrder, options?: LogCallOptions): Promise<void> {
    const refused = this.refusal();
    return refused === undefined ? this.membership.change(order, options) : Promise.reject(refused);
  }

  private refusal(): VarlogError | undefined {
    if (this.stopped === undefined) return this.removal();
    const { code, message } = this.stopped;
    return new VarlogError(code, { what: message, outcome: 'notAppended', cause: this.stopped });
  }

  private removal(): VarlogError | undefined {
    const { handshake, options } = this.driver;
    return handshake.isRemoved ? removed(this.groupId, options.memberId) : undefined;
  }

  private publish(): void {
    const removal = this.feed.told.removed ? undefined : this.removal();
    // What waits for a leader at a member that was removed would wait in vain.
    if (removal !== undefined) for (const it of [this.proposals, this.reads]) it.stop(removal);
    this.feed.tellChanges();
  }
}
