import {
  asVarlogError,
  callOnce,
  type Handler,
  handler,
  sleep,
  VarlogError,
} from '../base/index.ts';
import { MeetRequest, MeetResponse, type Parcel } from '../wire/gen/raft.ts';
import type { Message } from './core/index.ts';
import { type DiskIdentity, diskLost, diskRolledBack } from './disk-identity.ts';
import { noHello, notMember, otherGroup, removed } from './handshake-errors.ts';
import type { MemberContext } from './member-context.ts';
import { ObservedDurability } from './observed-durability.ts';

const MEET_TIMEOUT_MS = 1_000;
const PAUSE_MS = 50;
const LOGGED_MAX = 1_000;

/** Lets a member take part once it is certain that its disk is the one which the group knows. */
export class Handshake {
  /** Answers members that introduce themselves. */
  readonly handler: Handler;
  /** What others promised while this member ran. */
  readonly durability = new ObservedDurability();
  private readonly context: MemberContext;
  private readonly diskIdentity: DiskIdentity;
  private checked: unknown;
  private asking = false;
  private toldRemoved = false;
  /** Members that were destroyed where they were, as they are known to this one. */
  destroyedAt: readonly number[] = [];
  /** Refusals that were logged, of others here and of this member elsewhere. */
  private readonly logged = new Set<string>();

  constructor(context: MemberContext, diskIdentity: DiskIdentity) {
    this.context = context;
    this.diskIdentity = diskIdentity;
    this.handler = handler(context.options.methods.meet, async ({ hello }) => {
      if (!hello) throw noHello();
      const { log, configuration } = context.raft;
      this.checkAddressee(hello);
      // Who joins, and has nothing yet, joins the group of whoever asks for it first; never another one.
      const joins = log.last === 0 && configuration.voters.length === 0;
      if (joins && hello.identity !== '') {
        if (log.identity === '') log.identity = hello.identity;
        await this.remember();
        const { generation } = hello;
        if (generation !== diskIdentity.generation) await diskIdentity.enterGeneration(generation);
      }
      this.check(hello);
      await diskIdentity.record(hello.from, hello.incarnation, false);
      const { incarnation } = diskIdentity;
      return MeetResponse.create({ incarnation, identity: log.identity });
    });
    const { log } = context.raft;
    if (diskIdentity.identity !== '') {
      if (log.identity !== '') this.checkIdentity(diskIdentity.identity);
      log.identity = diskIdentity.identity;
    }
    context.raft.disqualified = true;
  }

  /** This member as it presents itself to another one. */
  helloFor(member: number): NonNullable<Parcel['hello']> {
    const { groupId, memberId, address } = this.context.options;
    const { incarnation, generation } = this.diskIdentity;
    const { term, log } = this.context.raft;
    const { identity } = log;
    const disk = { incarnation, generation, term, lastIndex: log.last };
    return { groupId, identity, from: memberId, to: member, address, ...disk };
  }

  /** Throws `CLUSTER_MISMATCH` for one who belongs to another group, as far as both are certain. */
  checkIdentity(identity: string): void {
    const own = this.context.raft.log.identity;
    if (own === '' || identity === '' || own === identity) return;
    throw otherGroup(this.context.options.groupId, own, identity, 'notAppended');
  }

  /** Throws when somebody looks for another member, or has not the disk that is known here. */
  check(hello: NonNullable<Parcel['hello']>): void {
    try {
      this.checkAddressee(hello);
      this.checkDisk(hello);
    } catch (error) {
      this.logOnce('raft.refused', { from: hello.from, address: hello.address }, error);
      throw error;
    }
  }

  /** Another member did not listen to this one, or could not be reached because of a certificate. */
  refusedBy(member: number, error: unknown): void {
    if (!VarlogError.is(error)) return;
    if (error.code === 'DISK_LOST') this.context.options.onFailure(error);
    else if (error.code === 'GROUP_DESTROYED') {
      // By hearsay nothing is destroyed here: somebody has to order it.
      const isOfThis = error.details['identity'] === this.context.raft.log.identity;
      if (isOfThis && !this.destroyedAt.includes(member)) {
        this.destroyedAt = [...this.destroyedAt, member];
        this.context.schedule();
      }
      this.logOnce('raft.destroyed', { at: member }, error);
    } else if (error.details['removed'] === this.context.options.memberId) {
      this.toldRemoved = true;
      this.context.raft.disqualified = true;
      this.logOnce('raft.removed', { by: member }, error);
    } else if (
      error.code.endsWith('_MISMATCH') ||
      error.code === 'UNAUTHENTICATED' ||
      error.details['tls'] === true
    )
      this.logOnce('raft.refusedBy', { by: member }, error);
  }

  /** The first members of a group that has not begun here who have not met this one. */
  get awaited(): readonly number[] {
    const { raft, options } = this.context;
    const { voters } = raft.configuration;
    if (raft.log.configurationIndex > 0 || !voters.includes(options.memberId)) return [];
    return voters.filter((it) => it !== options.memberId && !this.diskIdentity.isConfirmedBy(it));
  }

  /** Whether this member knows that it was removed from the group. */
  get isRemoved(): boolean {
    return this.toldRemoved || this.context.raft.log.hasRemoved(this.context.options.memberId);
  }

  private logOnce(event: string, who: Record<string, unknown>, cause: unknown): void {
    const { groupId, ports } = this.context.options;
    const fields = { group: groupId, ...who, error: String(cause) };
    const key = JSON.stringify(fields);
    if (this.logged.has(key)) return;
    if (this.logged.size >= LOGGED_MAX) this.logged.clear();
    this.logged.add(key);
    ports.logger.log('warn', event, fields);
  }

  /** Group first, before anything else. */
  private checkAddressee(hello: NonNullable<Parcel['hello']>): void {
    const { groupId, from, to, identity, generation } = hello;
    const { options, raft } = this.context;
    if (groupId === options.groupId) {
      this.checkIdentity(identity);
      // It may know nobody any more who is where it was, and is to hear it from whoever is there now. From a group that
      // was restored apart from its own it hears nothing.
      const isOfThis = identity !== '' && generation === this.diskIdentity.generation;
      if (isOfThis && raft.log.hasRemoved(from)) throw removed(groupId, from);
    }
    if (groupId !== options.groupId || to !== options.memberId || from === to) {
      throw new VarlogError('IDENTITY_MISMATCH', {
        what: `member ${from} of group "${groupId}" looks for member ${to} and found member ${options.memberId} of "${options.groupId}"`,
        next: 'give all members the same list of members and addresses',
      });
    }
  }

  private checkDisk(hello: NonNullable<Parcel['hello']>): void {
    const { groupId, from, to, incarnation, generation, term, lastIndex } = hello;
    const { raft } = this.context;
    if (generation !== this.diskIdentity.generation) {
      throw new VarlogError('IDENTITY_MISMATCH', {
        what: `member ${from} and member ${to} of group "${groupId}" are of different generations of it`,
        because: 'one of them was restored as a group of its own after a majority was lost',
        next: 'empty the folder of the one that is to give way, and add it under a new id',
      });
    }
    if (raft.log.refuses(from, hello.identity) !== undefined) {
      if (raft.log.identity === '') void this.introduceToAll();
      throw notMember(groupId, raft.log.identity, from);
    }
    if (raft.log.hasRemoved(from)) throw removed(groupId, from);
    const known = this.diskIdentity.incarnationOf(from, raft.configuration);
    if (known !== undefined && known !== incarnation) throw diskLost(groupId, from);
    if (!this.durability.isConsistentWith(from, term, lastIndex))
      throw diskRolledBack(groupId, from);
  }

  /**
   * Whether a message shows that this member had more on its disk than it has: a leader tells of a commit only as
   * far as the entries were acknowledged. Then the member ends.
   */
  hasRolledBack(message: Message): boolean {
    const { raft, options } = this.context;
    if (message.type !== 'heartbeat' && message.type !== 'commit') return false;
    if (message.term < raft.term || message.commit <= raft.log.last) return false;
    this.context.options.onFailure(diskRolledBack(options.groupId, options.memberId));
    return true;
  }

  /** The members may have changed: looks what the log says of this one's disk. */
  review(): void {
    const { raft, options } = this.context;
    if (raft.log.identity !== this.diskIdentity.identity) {
      this.remember().catch((error: unknown) => {
        // On a full disk it is tried again.
        if (!VarlogError.is(error, 'DISK_FULL'))
          this.context.options.onFailure(asVarlogError(error));
      });
    }
    if (this.checked === raft.configuration || raft.log.configurationIndex === 0) return;
    this.checked = raft.configuration;
    const named = raft.log.incarnationOf(options.memberId);
    if (named === this.diskIdentity.incarnation) raft.disqualified = false;
    else if (named !== undefined)
      this.context.options.onFailure(diskLost(options.groupId, options.memberId));
  }

  /** Which disk a member has that is to be added. */
  async meet(member: { id: number; address: string }, timeoutMs: number): Promise<string> {
    const { ports, methods } = this.context.options;
    const request = MeetRequest.create({ hello: this.helloFor(member.id) });
    const { network } = ports;
    const met = await callOnce(network, member.address, methods.meet, request, { timeoutMs });
    return met.incarnation;
  }

  /**
   * A tick passed. Whoever may not campaign, and hears no leader, asks the others from time to time: it may have been
   * removed while it could not hear that, and nobody calls it any more.
   */
  tick(): void {
    const { raft } = this.context;
    const { electionElapsed, options, log } = raft;
    if (raft.role === 'leader' || raft.promotable || this.isRemoved) return;
    // A group that begins has its members meet anyway.
    if (log.configurationIndex === 0) return;
    if (electionElapsed > 0 && electionElapsed % options.electionTicks === 0)
      void this.introduceToAll();
  }

  /** Resolves when nothing is being written any more: the folder may be let go. */
  settled(): Promise<void> {
    return this.diskIdentity.settled();
  }

  private remember(): Promise<void> {
    return this.diskIdentity.joinGroup(this.context.raft.log.identity);
  }

  /** A member that lags learns from those of whom it knows which group they are, and whether it belongs to it. */
  private async introduceToAll(): Promise<void> {
    const { raft, options } = this.context;
    if (this.asking) return;
    this.asking = true;
    const others = raft.configuration.voters.filter((it) => it !== options.memberId);
    await Promise.all(others.map((it) => this.introduceTo(it)));
    this.asking = false;
  }

  /** Meets all the others with whom a new group begins; without every one of them it does not. */
  async begin(): Promise<void> {
    const { raft, options } = this.context;
    const { voters } = raft.configuration;
    const others = voters.filter((it) => it !== options.memberId);
    if (!voters.includes(options.memberId)) return;
    while (raft.log.configurationIndex === 0) {
      await Promise.all(this.awaited.map((it) => this.introduceTo(it)));
      if (this.context.isClosed) return;
      if (this.awaited.length === 0) break;
      await sleep(options.ports.clock, PAUSE_MS);
    }
    const own = [options.memberId, this.diskIdentity.incarnation] as const;
    const { configuration } = raft;
    const known = others.map(
      (it) => [it, this.diskIdentity.incarnationOf(it, configuration) ?? ''] as const,
    );
    if (raft.log.configurationIndex > 0) return;
    raft.log.begin({ ...configuration, incarnations: new Map([own, ...known]) });
    raft.disqualified = false;
    this.context.schedule();
  }

  private async introduceTo(member: number): Promise<void> {
    const { context } = this;
    const { log } = context.raft;
    const { methods } = context.options;
    try {
      const request = MeetRequest.create({ hello: this.helloFor(member) });
      const options = { timeoutMs: MEET_TIMEOUT_MS };
      const answer = await context.channelTo(member)?.call(methods.meet, request, options);
      if (answer === undefined) return;
      await this.diskIdentity.record(member, answer.incarnation, true);
      // It knows this member's disk as one of its group.
      if (log.identity === '' && answer.identity !== '') log.identity = answer.identity;
      context.schedule();
    } catch (error) {
      // Whoever is not there yet is asked again.
      this.refusedBy(member, error);
    }
  }
}
