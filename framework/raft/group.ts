import { BehaviorSubject, filter, firstValueFrom, type Observable } from 'rxjs';
import {
  BATCH_BYTES_MAX,
  checkBatch,
  encodeBatch,
  type Followed,
  type Handler,
  handle,
  type LogCallOptions,
  type OrderedLog,
  type Ports,
  sleep,
  VarlogError,
} from '../base/index.ts';
import { ProposeResponse, TailResponse } from '../wire/gen/raft.ts';
import { closedError, type Member, RaftDriver } from './driver.ts';
import { Followers } from './followers.ts';
import { methodsOf, type RaftMethods } from './methods.ts';
import { Proposals } from './proposals.ts';
import { serveSnapshot } from './snapshot-transfer.ts';
import { RaftStorage } from './storage.ts';
import { TailReads } from './tail-reads.ts';

export interface RaftGroupOptions {
  readonly ports: Ports;
  /** Names the group on the wire and on the disk: 1 to 64 letters, digits, `-` and `_`. */
  readonly groupId: string;
  /** Which of the members this is. */
  readonly memberId: number;
  /** All members, the same list at each of them. */
  readonly members: readonly Member[];
  /** This member's own folder. */
  readonly directory: string;
  /** A member that hears no leader for one to two times this long campaigns. Default 300. */
  readonly electionTimeoutMs?: number;
  /** Default 100. */
  readonly heartbeatMs?: number;
  /** Whether appends at a member that does not lead are passed on to the leader. Default true. */
  readonly forward?: boolean;
  /** How long a call waits that gives no `timeoutMs`. Default 10,000. */
  readonly timeoutMs?: number;
  /** Appends that wait may hold this many bytes; beyond, they are refused. Default 64 MiB. */
  readonly queuedBytesMax?: number;
  /** Called once when this member cannot go on, because its disk failed. It is closed then. */
  readonly onFailure?: (error: VarlogError) => void;
}

export interface RaftStatus {
  readonly role: 'follower' | 'preCandidate' | 'candidate' | 'leader' | 'closed';
  readonly term: number;
  readonly leader: Member | undefined;
  /** Everything up to here is committed, as far as this member knows. */
  readonly commit: number;
  /** What a consumer of `follow` has taken. */
  readonly applied: number;
  /** First and last index in this member's log; `last` is `first - 1` when it is empty. */
  readonly first: number;
  readonly last: number;
}

const TICK_MS = 25;
const ELECTION_TIMEOUT_MS = 300;
const HEARTBEAT_MS = 100;
const TIMEOUT_MS = 10_000;
const QUEUED_BYTES_MAX = 64 * 1024 * 1024;
const UNCOMMITTED_BYTES_MAX = 32 * 1024 * 1024;

/** One member of a Raft group: a totally ordered, durable log that survives the loss of a minority. */
export class RaftGroup implements OrderedLog, AsyncDisposable {
  /** What the process is to serve at this member's address; several groups may share a server. */
  readonly handlers: readonly Handler[];
  /** The newest status at once, and again whenever role, term or leader change. Completes on close. */
  readonly status$: Observable<RaftStatus>;
  private readonly subject: BehaviorSubject<RaftStatus>;
  private readonly driver: RaftDriver;
  private readonly storage: RaftStorage;
  private readonly proposals: Proposals;
  private readonly reads: TailReads;
  private readonly followers: Followers;
  private readonly groupId: string;
  private stopped: VarlogError | undefined;
  private closing: Promise<void> | undefined;

  private constructor(
    options: RaftGroupOptions,
    methods: RaftMethods,
    driver: RaftDriver,
    storage: RaftStorage,
  ) {
    const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    this.groupId = options.groupId;
    this.driver = driver;
    this.storage = storage;
    this.followers = new Followers(driver.raft.log, storage);
    this.reads = new TailReads(driver, { timeoutMs });
    this.proposals = new Proposals(driver, {
      forward: options.forward ?? true,
      queuedBytesMax: options.queuedBytesMax ?? QUEUED_BYTES_MAX,
      timeoutMs,
    });
    this.subject = new BehaviorSubject(this.status);
    this.status$ = this.subject.asObservable();
    this.handlers = [driver.handler, ...this.answers(methods)];
    driver.beforeTurn = () => {
      this.proposals.advance();
      this.reads.advance();
    };
    driver.onCommit = () => {
      this.proposals.decided();
      this.followers.wake();
    };
    driver.afterTurn = ({ reads, droppedReads }) => {
      this.proposals.decided();
      this.reads.confirmed(reads, droppedReads);
      this.followers.wake();
      this.publish();
    };
    driver.onTick = () => {
      const proposals = this.proposals.tick();
      const reads = this.reads.tick();
      return proposals || reads;
    };
  }

  /**
   * Opens this member. Serve its `handlers` at its address for it to take part. Rejects with
   * `INVALID_ARGUMENT`, `IDENTITY_MISMATCH` (the folder belongs to another member),
   * `DIRECTORY_IN_USE` or `CORRUPT`.
   */
  static async open(options: RaftGroupOptions): Promise<RaftGroup> {
    const { ports, groupId, memberId, members, directory } = options;
    const methods = methodsOf(groupId);
    checkMembers(memberId, members);
    const electionTimeoutMs = options.electionTimeoutMs ?? ELECTION_TIMEOUT_MS;
    const heartbeatMs = options.heartbeatMs ?? HEARTBEAT_MS;
    const tickMs = Math.min(TICK_MS, heartbeatMs);
    const heartbeatTicks = Math.max(1, Math.round(heartbeatMs / tickMs));
    const electionTicks = Math.round(electionTimeoutMs / tickMs);
    if (!(electionTicks >= 2 * heartbeatTicks)) {
      throw new VarlogError('INVALID_ARGUMENT', {
        what: `an election timeout of ${electionTimeoutMs} ms does not go with heartbeats every ${heartbeatMs} ms`,
        next: 'make it at least twice as long',
      });
    }
    let fail = (error: VarlogError): void => {
      options.onFailure?.(error);
    };
    const storage = await RaftStorage.open({
      disk: ports.disk,
      directory,
      identity: `raft group ${groupId} member ${memberId}`,
      onFailure: (error) => fail(error),
    });
    const driver = await RaftDriver.start({
      ports,
      groupId,
      memberId,
      members,
      methods,
      storage,
      tickMs,
      electionTicks,
      heartbeatTicks,
      uncommittedBytesMax: UNCOMMITTED_BYTES_MAX,
    }).catch(async (error: unknown) => {
      await storage.close();
      throw error;
    });
    const group = new RaftGroup(options, methods, driver, storage);
    fail = (error) => {
      if (group.stopped !== undefined) return;
      ports.logger.log('error', 'raft.failed', { group: groupId, error: error.message });
      group.stop(error);
      options.onFailure?.(error);
    };
    return group;
  }

  get status(): RaftStatus {
    const { raft, leader } = this.driver;
    return {
      role: this.stopped === undefined ? raft.role : 'closed',
      term: raft.term,
      leader: this.stopped === undefined ? leader : undefined,
      commit: raft.log.commit,
      applied: this.followers.applied,
      first: raft.log.baseIndex + 1,
      last: raft.log.last,
    };
  }

  /**
   * Appends commands. Resolves with the index of the first one when they are committed. At a member
   * that does not lead they are passed on to the leader, unless `forward` is off: `NOT_LEADER`.
   */
  append(commands: readonly Uint8Array[], options?: LogCallOptions): Promise<number> {
    const refused = this.refusal() ?? checkCommands(commands);
    if (refused !== undefined) return Promise.reject(refused);
    return this.proposals.append(encodeBatch(commands), options);
  }

  follow(from: number, options?: { signal?: AbortSignal }): AsyncIterable<Followed> {
    return this.followers.follow(from, options?.signal);
  }

  tail(options?: LogCallOptions): Promise<number> {
    if (this.stopped !== undefined) return Promise.reject(this.stopped);
    return this.reads.ask(options);
  }

  /**
   * Rejects with `INVALID_ARGUMENT` for a position that is not committed. Some entries stay behind the
   * snapshot, for members that are a little behind.
   */
  async compact(position: number, state: Uint8Array): Promise<void> {
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
    await this.followers.reached(position);
    await this.driver.compact(position, state);
  }

  /**
   * Hands leadership to member `to`, or to any other one. Resolves when this member does not lead any
   * more, or after an election timeout, when it did not work out; at a follower it does nothing.
   */
  async transferLeadership(to?: number): Promise<void> {
    const { raft, options } = this.driver;
    if (raft.role !== 'leader') return;
    const matchOf = (id: number): number => raft.leadership?.progress.get(id)?.match ?? 0;
    const others = options.members.filter((it) => it.id !== options.memberId);
    const best = others.sort((a, b) => matchOf(b.id) - matchOf(a.id))[0];
    const target = to ?? best?.id;
    if (target === undefined || !raft.transferLeadership(target)) return;
    this.driver.schedule();
    const left = this.status$.pipe(filter(({ role }) => role !== 'leader'));
    const given = new AbortController();
    const late = sleep(options.ports.clock, options.tickMs * options.electionTicks, given.signal);
    await Promise.race([firstValueFrom(left, { defaultValue: undefined }), late]);
    given.abort();
    await late.catch(() => {});
  }

  /** Leaves the group: ends all calls, timers and streams, and lets go of the folder. */
  close(): Promise<void> {
    this.closing ??= this.finish();
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async finish(): Promise<void> {
    this.stop(closedError(this.groupId));
    await this.storage.close();
  }

  private stop(error: VarlogError): void {
    if (this.stopped !== undefined) return;
    this.stopped = error;
    this.driver.close();
    this.proposals.stop(error);
    this.reads.stop(error);
    this.followers.stop(error);
    this.subject.next(this.status);
    this.subject.complete();
  }

  private refusal(): VarlogError | undefined {
    if (this.stopped === undefined) return undefined;
    const { code, message } = this.stopped;
    return new VarlogError(code, { what: message, outcome: 'notAppended', cause: this.stopped });
  }

  private publish(): void {
    const { raft, leader } = this.driver;
    const { role, term, leader: before } = this.subject.value;
    if (role === raft.role && term === raft.term && before === leader) return;
    this.subject.next(this.status);
  }

  /** Answers what other members pass on because this one may lead. */
  private answers(methods: RaftMethods): Handler[] {
    return [
      handle(methods.propose, async ({ count, payload, timeoutMs }) => {
        const refused = this.refusal();
        if (refused !== undefined) throw refused;
        const batch = { count, bytes: payload };
        if (count === 0) throw emptyError();
        checkBatch(batch);
        const index = await this.proposals.append(batch, { timeoutMs }, true);
        return ProposeResponse.create({ index });
      }),
      handle(methods.tail, async ({ timeoutMs }) => {
        if (this.stopped !== undefined) throw this.stopped;
        if (this.driver.role !== 'leader') {
          throw new VarlogError('NOT_LEADER', { what: 'this member does not lead' });
        }
        return TailResponse.create({ index: await this.reads.ask({ timeoutMs }) });
      }),
      serveSnapshot(methods.snapshot, () => this.storage.snapshot),
    ];
  }
}

function checkMembers(memberId: number, members: readonly Member[]): void {
  const ids = new Set(members.map((it) => it.id));
  const valid = [...ids].every((it) => Number.isSafeInteger(it) && it > 0);
  if (valid && ids.size === members.length && ids.has(memberId)) return;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `member ${memberId} and the members ${[...ids].join(', ')} do not form a group`,
    next: 'give each member its own id from 1 on, and list this member too',
  });
}

function checkCommands(commands: readonly Uint8Array[]): VarlogError | undefined {
  if (commands.length === 0) return emptyError();
  let bytes = 0;
  for (const command of commands) bytes += 4 + command.length;
  if (bytes <= BATCH_BYTES_MAX) return undefined;
  return new VarlogError('ENTRY_TOO_LARGE', {
    what: `${bytes} bytes of commands are more than the ${BATCH_BYTES_MAX} of one append`,
    next: 'append less at a time',
    outcome: 'notAppended',
  });
}

function emptyError(): VarlogError {
  return new VarlogError('EMPTY_BATCH', {
    what: 'there is no command to append',
    next: 'append at least one',
    outcome: 'notAppended',
  });
}
