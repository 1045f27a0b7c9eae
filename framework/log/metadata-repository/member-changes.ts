import { callOnce, type LogCallOptions, type MemberId, VarlogError } from '../../base/index.ts';
import type { Member, RaftGroup } from '../../raft/index.ts';
import { MembersRequest, type MembersResponse, Ordering } from '../../wire/gen/log.ts';
import type {
  KnownMember,
  MemberOrder,
  MembersChanger,
  RepositoryAccess,
} from './repository-access.ts';

const ASK_TIMEOUT_MS = 2_000;

/**
 * Changes of the members of the metadata repository, at the leader, one at a time. Who is added is asked first who it
 * is: an id that another process has, a disk of another cluster or a version that does not know what the cluster has
 * agreed on is refused before anything is changed. Raft does the rest: it learns first, and votes when it has caught up.
 */
export class MemberChanges implements MembersChanger {
  private readonly repository: RepositoryAccess;
  private readonly group: RaftGroup;
  private current: MemberOrder | undefined;

  constructor(repository: RepositoryAccess, group: RaftGroup) {
    this.repository = repository;
    this.group = group;
  }

  get underWay(): string | undefined {
    const { current } = this;
    if (current === undefined) return undefined;
    const what = describe(current);
    if (current.kind === 'remove' || current.kind === 'addAt') return what;
    const { status, metrics } = this.group;
    const { id } = current.member;
    const progress = metrics.members.find((it) => it.id === id);
    if (progress === undefined || !status.learners.includes(id)) return what;
    return `${what}: it has ${progress.match} of ${status.last} entries`;
  }

  async change(order: MemberOrder, options: LogCallOptions): Promise<void> {
    await this.repository.confirmedOrderer();
    const { current } = this;
    if (current !== undefined) throw busy(current, order);
    this.current = order;
    const { logger } = this.repository.options.ports;
    const what = describe(order);
    logger.log('info', 'members change', { what });
    try {
      await this.carryOut(order, options);
      logger.log('info', 'members changed', { what });
    } catch (error) {
      logger.log('warn', 'members not changed', { what, error: String(error) });
      throw error;
    } finally {
      this.current = undefined;
    }
  }

  private carryOut(order: MemberOrder, options: LogCallOptions): Promise<void> {
    switch (order.kind) {
      case 'add':
        return this.add(order, options);
      case 'addAt':
        return this.addAt(order.address, options);
      case 'move':
        return this.move(order.member, options);
      case 'remove':
        this.known(order.id);
        return this.group.removeMember(order.id, options);
    }
  }

  private async add(
    { member, replaces }: MemberOrder & { kind: 'add' },
    options: LogCallOptions,
  ): Promise<void> {
    const { members } = this.repository;
    const known = members.find((it) => it.id === member.id);
    if (known !== undefined && known.address !== member.address) throw elsewhere(known, member);
    const twin = members.find((it) => it.address === member.address && it.id !== member.id);
    if (twin !== undefined && twin.id !== replaces) throw taken(twin, member);
    // Asked for again, it may have taken the place already.
    const isReplaced = known?.learner === false && !members.some((it) => it.id === replaces);
    const replaced = replaces === undefined || isReplaced ? undefined : this.known(replaces);
    await this.meet(member);
    // A learner has no vote that the new one could take over.
    if (replaced?.learner) await this.group.removeMember(replaced.id, options);
    const instead = replaced?.learner === false ? { replaces: replaced.id } : {};
    await this.group.addMember(member, { ...options, ...instead });
  }

  private async addAt(address: string, options: LogCallOptions): Promise<void> {
    const known = this.repository.members.find((it) => it.address === address);
    const member = { id: known?.id ?? (await this.idOf(address)), address };
    const order = { kind: 'add', member } as const;
    this.current = order;
    await this.add(order, options);
  }

  private async move(member: Member, options: LogCallOptions): Promise<void> {
    const { learner } = this.known(member.id);
    const twin = this.repository.members.find(
      (it) => it.address === member.address && it.id !== member.id,
    );
    if (twin !== undefined) throw taken(twin, member);
    await this.meet(member);
    if (learner) await this.group.addLearner(member, options);
    else await this.group.addMember(member, options);
  }

  private known(id: MemberId): KnownMember {
    const { members } = this.repository;
    const found = members.find((it) => it.id === id);
    if (found !== undefined) return found;
    throw new VarlogError('NOT_FOUND', {
      what: `the metadata repository has no member ${id}`,
      because: `its members are ${members.map((it) => it.id).join(', ')}`,
      next: 'list them with "varlog member list"; one that is gone may have been removed already',
      outcome: 'notAppended',
    });
  }

  /** The id that the process at an address has as a member. */
  private async idOf(address: string): Promise<MemberId> {
    const { self } = await this.ask(address, 'the member');
    if (self !== null) return self.id;
    throw new VarlogError('FAILED_PRECONDITION', {
      what: `the process at ${address} is no member of this version`,
      next: 'start it with the role metadata and --join',
      outcome: 'notAppended',
    });
  }

  /** Asks who listens there. */
  private async meet(member: Member): Promise<void> {
    const found = await this.ask(member.address, `member ${member.id}`);
    const { options, cluster, metadata } = this.repository;
    const { self } = found;
    const isOther = found.cluster !== '' && found.cluster !== cluster;
    if (isOther || found.clusterId !== options.clusterId)
      throw otherCluster(member, found, cluster);
    if (self === null || self.id !== member.id) {
      throw new VarlogError('FAILED_PRECONDITION', {
        what: `the process at ${member.address} is ${self === null ? 'no member of this version' : `member ${self.id}`}, and not member ${member.id}`,
        next: `name it by its own id, or start it with --member-id ${member.id}`,
        outcome: 'notAppended',
      });
    }
    if (self.address !== member.address) {
      throw new VarlogError('FAILED_PRECONDITION', {
        what: `the process at ${member.address} says that the others reach member ${member.id} at ${self.address}`,
        next: `start it with ${member.id}=${member.address} in --members`,
        outcome: 'notAppended',
      });
    }
    if (found.supportedLevel >= metadata.featureLevel) return;
    throw new VarlogError('FAILED_PRECONDITION', {
      what: `member ${member.id} supports feature level ${found.supportedLevel}, and the cluster has agreed on ${metadata.featureLevel}`,
      next: 'start it with the version that the others run',
      outcome: 'notAppended',
    });
  }

  private async ask(address: string, who: string): Promise<MembersResponse> {
    const { network } = this.repository.options.ports;
    const request = MembersRequest.create({});
    try {
      // Without naming the cluster: who joins does not know it yet.
      const limits = { timeoutMs: ASK_TIMEOUT_MS };
      return await callOnce(network, address, Ordering.Members, request, limits);
    } catch (cause) {
      if (!VarlogError.is(cause)) throw cause;
      const isSilent = cause.code === 'UNREACHABLE' || cause.code === 'TIMEOUT';
      throw new VarlogError(isSilent ? 'UNREACHABLE' : cause.code, {
        what: `${who} at ${address} did not say who it is, and nothing was changed`,
        because: cause.message,
        next: 'start it with --join, at that address, and try again',
        outcome: 'notAppended',
        cause,
      });
    }
  }
}

function describe(order: MemberOrder): string {
  if (order.kind === 'remove') return `removing member ${order.id}`;
  if (order.kind === 'addAt') return `adding the member at ${order.address}`;
  const { id, address } = order.member;
  if (order.kind === 'move') return `moving member ${id} to ${address}`;
  const instead = order.replaces === undefined ? '' : ` in place of member ${order.replaces}`;
  return `adding member ${id} at ${address}${instead}`;
}

function busy(current: MemberOrder, wanted: MemberOrder): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: `${describe(wanted)} has to wait: ${describe(current)} is under way, and the members change one at a time`,
    next: 'try again when "varlog member list" shows no change under way',
    outcome: 'notAppended',
  });
}

function elsewhere(known: Member, { id, address }: Member): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: `member ${id} is there already, at ${known.address} and not at ${address}`,
    next: `move it with "varlog member move ${id}=${address}", or give the new one an id that no member ever had`,
    outcome: 'notAppended',
  });
}

function taken(twin: Member, { id, address }: Member): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: `member ${twin.id} is at ${address}, where member ${id} was to be`,
    next: `if it is lost, put the new one in its place: "varlog member replace ${twin.id} ${id}=${address}"`,
    outcome: 'notAppended',
  });
}

function otherCluster(
  { id, address }: Member,
  found: MembersResponse,
  cluster: string | undefined,
): VarlogError {
  return new VarlogError('CLUSTER_MISMATCH', {
    what: `member ${id} at ${address} is of cluster ${found.cluster}, number ${found.clusterId}, and not of ${cluster}`,
    because:
      'its folder is of that cluster, or it was started without --join and began one of its own',
    next: 'check the address; or stop it, empty its directory, and start it with --join',
    outcome: 'notAppended',
    details: { expected: cluster, found: found.cluster },
  });
}
