import {
  isTcpAddress,
  type LogCallOptions,
  reasonOf,
  sleep,
  VarlogError,
  Waiters,
} from '../base/index.ts';
import { ChangeRequest, ChangeRequestKind as Kind } from '../wire/gen/raft.ts';
import type { Configuration, MemberChange } from './core/index.ts';
import { diskLost } from './disk-identity.ts';
import type { RaftDriver } from './driver.ts';
import type { Member } from './member.ts';
import { asLearner, asVoter, retired, without } from './member-change.ts';
import type { TurnPart } from './turn-part.ts';

/** Who does not answer the leader within this time is not counted on. */
const REST_ANSWERS_MS = 1_000;

interface Waiting {
  readonly deadline: number;
  /** Resolves the wait by returning true, or fails it by throwing. */
  readonly holds: () => boolean;
  readonly late: () => VarlogError;
}

/** What is to be changed about the members. */
export interface MemberOrder {
  readonly kind: 'add' | 'learn' | 'remove';
  readonly member: Member;
  /** Id of the member whose place it takes; only with `add`. */
  readonly replaces?: number | undefined;
}

/**
 * Changes of the members, at the leader: one step at a time, each by joint consensus (paper §6). Who is
 * to vote learns first (thesis §4.2.1), so that the group never waits for a member that has nothing yet.
 */
export class Membership implements TurnPart {
  private readonly driver: RaftDriver;
  private readonly defaultTimeoutMs: number;
  private readonly waiters = new Waiters<Waiting>();
  /** Whose addresses, after so many moves, are those that the group knows. */
  private noted: { configuration: Configuration; moves: number } | undefined;

  constructor(driver: RaftDriver, options: { timeoutMs: number }) {
    this.driver = driver;
    this.defaultTimeoutMs = options.timeoutMs;
  }

  /**
   * Carries it out here, or has the leader do it, once there is one. Resolves when the change is
   * committed. `local`: not passed on.
   */
  async change(order: MemberOrder, options: LogCallOptions = {}, local = false): Promise<void> {
    const deadline = this.now() + (options.timeoutMs ?? this.defaultTimeoutMs);
    const { signal } = options;
    let refusal: unknown;
    for (;;) {
      if (!local) await this.until(() => this.driver.leader !== undefined, deadline, signal);
      try {
        if (this.driver.role === 'leader') await this.carryOut(order, deadline, signal);
        else if (local) throw this.notLeader();
        else await this.passOn(order, deadline, signal);
        return;
      } catch (error) {
        const again = VarlogError.is(error) && error.retryable && error.outcome === 'notAppended';
        const late = this.now() >= deadline;
        // What the leader said of it before is worth more than that it did not answer once more.
        if (late && VarlogError.is(error, 'TIMEOUT') && refusal !== undefined) throw refusal;
        if (!again || local || late) throw error;
        refusal = error;
      }
      await sleep(
        this.driver.options.ports.clock,
        this.driver.options.resources.ticker.tickMs,
        signal,
      );
    }
  }

  private async carryOut(
    order: MemberOrder,
    deadline: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { member, replaces } = order;
    const { raft } = this.driver;
    if (order.kind === 'remove') {
      await this.checkRest(without(raft.configuration, member.id), member.id, deadline);
      return this.step((from) => without(from, member.id), deadline, signal);
    }
    this.check(member);
    if (raft.configuration.retired.includes(member.id)) throw retired(member.id);
    // Who joins is told which group it joins.
    await this.until(() => raft.log.identity !== '', deadline, signal);
    const known = { ...member, incarnation: await this.meet(member, deadline) };
    if (order.kind === 'learn') {
      const change = asLearner(raft.configuration, known, true);
      await this.checkRest(change, member.id, deadline);
    }
    await this.step((from) => asLearner(from, known, order.kind === 'learn'), deadline, signal);
    if (order.kind === 'learn') return;
    await this.caughtUp(member.id, deadline, signal);
    await this.step((from) => asVoter(from, member.id, replaces), deadline, signal);
  }

  afterTurn(): void {
    this.advance();
  }

  onTick(): boolean {
    this.advance();
    return false;
  }

  /** Something moved: tells those who wait for it. */
  private advance(): void {
    this.noteMoves();
    if (this.waiters.size === 0) return;
    const now = this.now();
    this.waiters.resolve(({ holds, deadline, late }) => {
      if (holds()) return true;
      if (deadline <= now) throw late();
      return false;
    });
  }

  /** A leader writes down where members listen that are elsewhere than the group knew. */
  private noteMoves(): void {
    const { raft, links, options } = this.driver;
    if (raft.role !== 'leader') return;
    const { configuration } = raft;
    const { noted } = this;
    if (noted?.configuration === configuration && noted.moves === links.moves) return;
    const moved = links.movedFrom(configuration, options.address);
    if (moved.size === 0) {
      this.noted = { configuration, moves: links.moves };
      return;
    }
    const addresses = new Map([...configuration.addresses, ...moved]);
    if (typeof raft.changeMembers({ ...configuration, addresses }) === 'number') {
      this.driver.schedule();
    }
  }

  /** Whether there is anything that was not settled yet. */
  get isWaiting(): boolean {
    return this.waiters.size > 0;
  }

  stop(error: VarlogError): void {
    this.waiters.stop(error);
  }

  /** One change, from the configuration that is in force when its turn comes; nothing if that is so already. */
  private async step(
    change: (from: Configuration) => MemberChange | undefined,
    deadline: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { raft } = this.driver;
    let term: number | undefined;
    await this.until(
      () => {
        const { configuration } = raft.log;
        const settled = !raft.log.isChanging;
        if (settled && change(configuration) === undefined) return true;
        if (raft.role !== 'leader' || (term !== undefined && raft.term !== term)) {
          throw term === undefined ? this.notLeader() : unfinished('the leader changed');
        }
        const next = settled && term === undefined ? change(configuration) : undefined;
        if (next === undefined) return false;
        if (typeof raft.changeMembers(next) !== 'number') return false;
        term = raft.term;
        this.driver.schedule();
        return false;
      },
      deadline,
      signal,
      timeIsUp,
    );
  }

  /**
   * Resolves when the member has got everything that was there an election timeout ago: the rounds of
   * thesis §4.2.1.
   */
  private async caughtUp(member: number, deadline: number, signal?: AbortSignal): Promise<void> {
    const { raft, options } = this.driver;
    const roundMs = options.electionTicks * options.resources.ticker.tickMs;
    let goal = raft.log.last;
    let startedAt = this.now();
    await this.until(
      () => {
        const progress = raft.leadership?.progress.get(member);
        if (progress === undefined) throw unfinished('the leader changed');
        if (progress.match < goal) return false;
        const quick = this.now() - startedAt <= roundMs;
        goal = raft.log.last;
        startedAt = this.now();
        return quick;
      },
      deadline,
      signal,
      timeIsUp,
    );
  }

  private until(
    holds: () => boolean,
    deadline: number,
    signal: AbortSignal | undefined,
    late: () => VarlogError = () => this.notLeader(),
  ): Promise<void> {
    const waiting = this.waiters.wait({ deadline, holds, late }, { signal });
    this.advance();
    this.driver.schedule();
    return waiting;
  }

  private async passOn(order: MemberOrder, deadline: number, signal?: AbortSignal): Promise<void> {
    const { driver } = this;
    const { leader } = driver;
    const channel = leader === undefined ? undefined : driver.channelTo(leader.id);
    if (channel === undefined) throw this.notLeader();
    const timeoutMs = Math.min(Math.max(1, Math.ceil(deadline - this.now())), 2 ** 31);
    const request = ChangeRequest.create({
      kind: KINDS[order.kind],
      member: order.member.id,
      address: order.member.address,
      replaces: order.replaces ?? 0,
      timeoutMs,
      identity: driver.raft.log.identity,
    });
    const options = { timeoutMs, ...(signal && { signal }) };
    try {
      const to = [leader!.id, channel] as const;
      await driver.calls.call(to, driver.options.methods.change, request, options);
    } catch (error) {
      // Given up because another member leads: that one can be asked, a change does no harm twice.
      const deposed = VarlogError.is(error, 'NOT_LEADER') && error.outcome === undefined;
      throw deposed ? this.notLeader() : error;
    }
  }

  /** Of those who are to vote on when a member does not any more, a majority has to be there. */
  private async checkRest(
    change: MemberChange | undefined,
    id: number,
    deadline: number,
  ): Promise<void> {
    const { options, raft } = this.driver;
    // Where it did not vote, nothing is lost.
    if (change === undefined || !raft.configuration.voters.includes(id)) return;
    const timeoutMs = Math.min(REST_ANSWERS_MS, Math.max(1, (deadline - this.now()) / 2));
    const answers = await Promise.all(
      change.voters.map(async (it): Promise<boolean> => {
        const address = this.driver.addressOf(it);
        if (it === options.memberId) return true;
        if (address === undefined) return false;
        const met = this.driver.handshake.meet({ id: it, address }, timeoutMs);
        return met.then(
          () => true,
          () => false,
        );
      }),
    );
    const silent = change.voters.filter((_, i) => !answers[i]);
    if (silent.length * 2 < change.voters.length) return;
    throw new VarlogError('FAILED_PRECONDITION', {
      what: `without member ${id} the members ${change.voters.join(', ')} would vote, and ${silent.join(', ')} of them cannot be reached: nothing was changed`,
      because: 'no majority would be left',
      next: 'start those members, or replace them first',
      outcome: 'notAppended',
      details: { silent },
    });
  }

  /** Which disk it has: not another one than the group knows of it. */
  private async meet(member: Member, deadline: number): Promise<string> {
    const { handshake, raft, options } = this.driver;
    if (member.id === options.memberId) return raft.configuration.incarnations.get(member.id) ?? '';
    let incarnation: string;
    try {
      // Sooner than the caller gives up: it is to be told who does not answer.
      incarnation = await handshake.meet(member, Math.max(1, (deadline - this.now()) / 2));
    } catch (cause) {
      const certain = VarlogError.is(cause) && /_MISMATCH$|^DISK_LOST$/.test(cause.code);
      if (certain) throw withOutcome(cause);
      throw new VarlogError('UNREACHABLE', {
        what: `member ${member.id} at ${member.address} could not be met, and was not added`,
        because: reasonOf(cause),
        next: 'start it with `join`, at that address, and try again',
        outcome: 'notAppended',
        cause,
      });
    }
    const known = raft.configuration.incarnations.get(member.id);
    if (known !== undefined && known !== incarnation) {
      throw withOutcome(diskLost(options.groupId, member.id));
    }
    return incarnation;
  }

  private check({ id, address }: Member): void {
    if (Number.isSafeInteger(id) && id > 0 && isTcpAddress(address)) return;
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `member ${id} at "${address}" cannot be added`,
      next: 'give it an id from 1 on that no member ever had, and the address at which it listens: host:port',
      outcome: 'notAppended',
    });
  }

  private notLeader(): VarlogError {
    const { leader } = this.driver;
    return new VarlogError('NOT_LEADER', {
      what: 'only the leader changes the members, and this member does not lead',
      next: leader === undefined ? 'try again when there is a leader' : `ask ${leader.address}`,
      outcome: 'notAppended',
    });
  }

  private now(): number {
    return this.driver.options.ports.clock.now();
  }
}

const KINDS = { add: Kind.ADD, learn: Kind.LEARN, remove: Kind.REMOVE } as const;

/** What another member passed on. Throws `INVALID_ARGUMENT` for an unknown kind. */
export function memberOrder(request: ChangeRequest): MemberOrder {
  const kind = (['add', 'learn', 'remove'] as const).find((it) => KINDS[it] === request.kind);
  if (kind === undefined) {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `a change of the members of the unknown kind ${request.kind}`,
      because: 'the peer may run another version',
    });
  }
  const member = { id: request.member, address: request.address };
  return { kind, member, replaces: request.replaces === 0 ? undefined : request.replaces };
}

/** What was said about a member that was to be added, which it was not. */
function withOutcome(cause: VarlogError): VarlogError {
  return new VarlogError(cause.code, { what: cause.message, outcome: 'notAppended', cause });
}

function timeIsUp(): VarlogError {
  return unfinished('the time is up');
}

function unfinished(because: string): VarlogError {
  return new VarlogError('APPEND_UNKNOWN', {
    what: 'the change of the members was begun and is not known to be committed',
    because,
    next: 'look at the members in the status; the same change may be asked for again',
    outcome: 'unknown',
  });
}
