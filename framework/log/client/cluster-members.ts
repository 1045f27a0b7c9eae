import type { Clock, MemberId } from '../../base/index.ts';
import {
  ChangeMembersRequest,
  ChangeMembersRequestKind as Kind,
  Member,
  Ordering,
} from '../../wire/gen/log.ts';
import { type CallLimits, checkCall, inSteps, withinLimits } from './call-limit.ts';
import { checkWhole } from './checked-option.ts';
import type { ClientContext } from './client-context.ts';
import type { MemberStatus } from './cluster-status.ts';
import type { RepositoryClient } from './repository-client.ts';
import { failureToError } from './wire-failure.ts';

const CHANGE_TIMEOUT_MS = 60_000;
/** The leader gives up before its caller does, so that it is known what became of it. */
const LEADERS_SHARE = 0.9;
/** What a message can say of that; who waits for ever waits no longer than that either. */
const LEADERS_MS_MAX = 2 ** 31;

/** A member of the metadata repository: its id, which no other one ever had, and where the others reach it. */
export interface MemberAddress {
  readonly id: MemberId;
  /** `host:port`. */
  readonly address: string;
}

/**
 * The members of the metadata repository, which change one at a time. Each change resolves when it is committed, within `timeoutMs` (default
 * 60,000: who is added gets the log first), and does no harm when it is asked for again. Rejects with
 * `FAILED_PRECONDITION`, `NOT_FOUND`, `CLUSTER_MISMATCH`, `DISK_LOST`, `UNREACHABLE` or `INVALID_ARGUMENT` where nothing was changed,
 * and with `APPEND_UNKNOWN` or `TIMEOUT` where it may have been.
 */
export class ClusterMembers {
  private readonly clock: Clock;
  private readonly repository: RepositoryClient;

  constructor({ ports, repository }: Pick<ClientContext, 'ports' | 'repository'>) {
    this.clock = ports.clock;
    this.repository = repository;
  }

  /** All members, and how each of them is. */
  async list(limits: CallLimits = {}): Promise<MemberStatus[]> {
    checkCall(limits, 'members.list');
    const what = 'asking for the members of the cluster';
    return inSteps(this.clock, { ...limits, what }, async (own) => {
      const { members } = await this.repository.members(own);
      return Promise.all(members.map((it) => describeMember(this.repository, it, own.signal)));
    });
  }

  /** Adds a member, which was started with `--join` on an empty directory. It votes once it has caught up. */
  async add(member: MemberAddress, limits: CallLimits = {}): Promise<void> {
    checkCall(limits, 'members.add');
    checkMember(member.id);
    const what = `adding member ${member.id}`;
    await this.change({ kind: Kind.ADD, member: Member.create({ ...member }) }, what, limits);
  }

  /**
   * Puts a new member, started as for {@link add}, in the place of one whose disk is lost, in one step. The lost one never
   * comes back: its id is never used again.
   */
  async replace(lost: MemberId, member: MemberAddress, limits: CallLimits = {}): Promise<void> {
    checkCall(limits, 'members.replace');
    checkMember(lost);
    checkMember(member.id);
    const what = `replacing member ${lost}`;
    const order = { kind: Kind.ADD, member: Member.create({ ...member }), replaces: lost };
    await this.change(order, what, limits);
  }

  /** Removes a member, also the leader. Refused for the last one, and where no majority of the others answers. */
  async remove(id: MemberId, limits: CallLimits = {}): Promise<void> {
    checkCall(limits, 'members.remove');
    checkMember(id);
    const member = Member.create({ id });
    await this.change({ kind: Kind.REMOVE, member }, `removing member ${id}`, limits);
  }

  /** A member, with the disk that the others know it by, is at another address now: it was started there. */
  async move(member: MemberAddress, limits: CallLimits = {}): Promise<void> {
    checkCall(limits, 'members.move');
    checkMember(member.id);
    const what = `moving member ${member.id}`;
    await this.change({ kind: Kind.MOVE, member: Member.create({ ...member }) }, what, limits);
  }

  private async change(
    order: Partial<ChangeMembersRequest>,
    what: string,
    { timeoutMs = CHANGE_TIMEOUT_MS, signal }: CallLimits,
  ): Promise<void> {
    const request = ChangeMembersRequest.create({
      ...order,
      timeoutMs: Math.min(Math.max(1, Math.floor(timeoutMs * LEADERS_SHARE)), LEADERS_MS_MAX),
    });
    const limits = { what, timeoutMs, ...(signal && { signal }) };
    await withinLimits(this.clock, limits, async (own) => {
      const plan = { ...own, what, idempotent: false };
      const { failure } = await this.repository.call(Ordering.ChangeMembers, request, plan);
      if (failure !== null) throw failureToError(failure);
      // So that this client finds those that are there now.
      await this.repository.members(own).catch(() => {});
    });
  }
}

/** Throws `INVALID_ARGUMENT` for what cannot be the id of a member: another one may have what it would be on the wire. */
function checkMember(id: unknown): void {
  checkWhole(id, 'the id of a member', Number.MAX_SAFE_INTEGER);
}

/** A member with how it answers. */
export async function describeMember(
  repository: RepositoryClient,
  { id, address, learner }: Member,
  signal: AbortSignal | undefined,
): Promise<MemberStatus> {
  const answer = await repository.probe({ id, address }, signal);
  return { id, address, votes: !learner, ...answer };
}
