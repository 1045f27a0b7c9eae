import {
  type Channel,
  type Handler,
  handler,
  type MessageStream,
  OncePerTurn,
  unlessAborted,
} from '../base/index.ts';
import type { Nothing, Parcel } from '../wire/gen/raft.ts';
import { closedError } from './commands.ts';
import { CommitNews } from './commit-news.ts';
import { type Message, Raft, type Role } from './core/index.ts';
import { DiskIdentity } from './disk-identity.ts';
import { Elections } from './elections.ts';
import { EntryProvider } from './entry-provider.ts';
import { Handover } from './handover.ts';
import { Handshake } from './handshake.ts';
import { noHello, removed } from './handshake-errors.ts';
import { LeaderCalls } from './leader-calls.ts';
import { Links } from './links.ts';
import type { Member } from './member.ts';
import type { DriverOptions, MemberContext } from './member-context.ts';
import { fromWire } from './message-codec.ts';
import { PreferredLeader } from './preferred-leader.ts';
import { SnapshotReceiver } from './snapshot-receiver.ts';
import type { Ticking } from './ticker.ts';
import type { TurnPart } from './turn-part.ts';

const MESSAGE_BYTES_MAX = 1024 * 1024;
const INFLIGHT_BYTES_MAX = 8 * 1024 * 1024;
const INFLIGHT_MESSAGES_MAX = 256;

/**
 * Runs one member: gives the core its ticks, messages and finished writes, and does what it asks
 * for, once per turn. Everything that arrives in one turn is handled together.
 */
export class RaftDriver implements Ticking, MemberContext {
  readonly options: DriverOptions;
  readonly raft: Raft;
  readonly handshake: Handshake;
  readonly elections: Elections;
  /** Since the start. */
  compactionsFailed = 0;
  /** What this member asks of the leader. */
  readonly calls = new LeaderCalls(() => this.raft.leader);
  readonly handover = new Handover(this);
  readonly commitNews: CommitNews;
  private readonly preferred = new PreferredLeader(this);
  readonly snapshots: SnapshotReceiver;
  readonly links: Links;
  /** Open streams from other members, and from whom. */
  private readonly inbound = new Map<MessageStream<Nothing, Parcel>, number>();
  private readonly ending = new AbortController();
  private readonly parts: TurnPart[] = [];
  private readonly inbox: Message[] = [];
  /** Members to whom a connection broke since the last turn. */
  private readonly broken: number[] = [];
  private readonly leave: (() => void)[] = [];
  /** When each member was heard last. */
  private readonly heard = new Map<number, number>();
  private answeredCommit = 0;
  /** The last turn stopped after telling those who wait: this one goes on to its end. */
  private paused = false;
  private readonly nextTurn: OncePerTurn;
  private closed = false;
  private readonly entryProvider: EntryProvider;

  private constructor(options: DriverOptions, raft: Raft, diskIdentity: DiskIdentity) {
    this.options = options;
    this.raft = raft;
    this.nextTurn = new OncePerTurn(options.ports.clock, () => {
      if (!this.closed) this.turn();
    });
    this.commitNews = new CommitNews(options.ports.clock, raft.log, () => this.schedule());
    this.elections = new Elections(raft);
    const { storage } = options;
    this.entryProvider = new EntryProvider(raft, storage, {
      schedule: () => this.schedule(),
      onUnreadable: (entry, needed, error) =>
        this.note('error', 'raft.entry.unreadable', { entry, needed, error: String(error) }),
    });
    this.handshake = new Handshake(this, diskIdentity);
    this.snapshots = new SnapshotReceiver(this, this.handshake);
    const { ports, methods } = options;
    this.links = new Links({
      clock: ports.clock,
      network: ports.network,
      method: methods.exchange,
      memberId: options.memberId,
      listed: options.initial.addresses,
      helloFor: (member) => this.handshake.helloFor(member),
      onLost: (member) => {
        this.raft.unreachable(member);
        this.schedule();
      },
      onDisconnected: (member, error) => {
        this.handshake.refusedBy(member, error);
        this.disconnected(member);
      },
    });
    this.handshake.review();
    this.connect();
    storage.onPersisted((sequence) => {
      if (this.closed) return;
      this.raft.persisted(sequence);
      this.schedule();
    });
    const { resources, groupId, memberId } = options;
    this.leave.push(
      resources.ticker.add(this),
      resources.heartbeats?.join(groupId, memberId, (message, identity) => {
        if (raft.log.refuses(message.from, identity) !== undefined) return;
        // Only of those who have said who they are, on a stream of the group.
        if ([...this.inbound.values()].includes(message.from)) this.receive(message);
      }) ?? (() => {}),
    );
  }

  static async start(options: DriverOptions): Promise<RaftDriver> {
    const { storage, memberId } = options;
    const shape = await storage.shape(options.initial);
    let abstains = (): boolean => false;
    const raft = new Raft(
      {
        id: memberId,
        electionTicks: options.electionTicks,
        heartbeatTicks: options.heartbeatTicks,
        messageBytesMax: MESSAGE_BYTES_MAX,
        inflightBytesMax: INFLIGHT_BYTES_MAX,
        inflightMessagesMax: INFLIGHT_MESSAGES_MAX,
        uncommittedBytesMax: options.uncommittedBytesMax,
        recentBytesMax: options.resources.recentBytesMax,
        leaseMs: options.leaseMs,
        abstains: () => abstains(),
        random: options.ports.random,
      },
      storage.hardState,
      shape,
    );
    const { disk, random } = options.ports;
    const { directory, label } = options;
    const diskIdentity = await DiskIdentity.open({ disk, random, directory, label });
    diskIdentity.checkLog(raft, memberId);
    const driver = new RaftDriver(options, raft, diskIdentity);
    abstains = () => driver.handover.reason !== undefined;
    return driver;
  }

  /** Takes the messages of the other members. */
  get handler(): Handler {
    return handler(this.options.methods.exchange, async (stream) => {
      if (this.closed) throw closedError(this.options.groupId);
      let from = 0;
      this.inbound.set(stream, from);
      stream.receive((parcel) => {
        const { hello } = parcel;
        if (hello) {
          this.handshake.check(hello);
          from = hello.from;
          this.links.met(from, hello.address);
          this.inbound.set(stream, from);
        }
        if (from === 0) throw noHello();
        // Since it said who it is: it would campaign for ever if nobody told it.
        if (this.raft.log.hasRemoved(from)) throw removed(this.options.groupId, from);
        for (const wire of parcel.messages) {
          this.receive(fromWire(wire, from, this.options.memberId));
        }
      });
      try {
        await stream.closed;
      } finally {
        this.inbound.delete(stream);
        this.disconnected(from);
      }
    });
  }

  /** Parts take part in each turn from now on. */
  add(...parts: TurnPart[]): void {
    this.parts.push(...parts);
  }

  get isClosed(): boolean {
    return this.closed;
  }

  get role(): Role {
    return this.raft.role;
  }

  /** The leader, where it is known. */
  get leader(): Member | undefined {
    const { leader } = this.raft;
    const address = this.addressOf(leader);
    return address === undefined ? undefined : { id: leader, address };
  }

  /** The leader before, when this member left it because its connection broke, or it was silent, and for how long it was so. */
  get lostLeader(): (Member & { readonly silentMs: number }) | undefined {
    const { leader: id, silentTicks } = this.elections.lost ?? { leader: 0, silentTicks: 0 };
    const address = this.addressOf(id);
    const silentMs = silentTicks * this.options.resources.ticker.tickMs;
    return address === undefined ? undefined : { id, address, silentMs };
  }

  /** Where a member listens, as far as this one knows. */
  addressOf(member: number): string | undefined {
    if (member === this.options.memberId) return this.options.address;
    return this.channelTo(member)?.address;
  }

  /** See {@link RaftGroup.lastHeardAt}. */
  lastHeardAt(address: string): number {
    if (address === this.options.address) return this.options.ports.clock.now();
    for (const [member, at] of this.heard) if (this.addressOf(member) === address) return at;
    return Number.NEGATIVE_INFINITY;
  }

  /** The way to another member. */
  channelTo(member: number): Channel | undefined {
    return this.links.channelTo(member);
  }

  /** Has the core's effects carried out at the end of this turn. */
  schedule(): void {
    if (!this.closed) this.nextTurn.schedule();
  }

  /**
   * Keeps a snapshot of what was applied up to `index`, and drops entries that it stands for. Rejects with `DISK_FULL`
   * when there is no room: the next try may succeed.
   */
  async compact(index: number, state: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
    try {
      // A disk that hangs must not hold up who closes the member.
      await unlessAborted(this.compactTo(index, state), this.ending.signal);
    } catch (error) {
      if (this.closed) throw closedError(this.options.groupId);
      this.compactionsFailed++;
      const { ports, groupId } = this.options;
      ports.logger.log('warn', 'raft.compaction.failed', { group: groupId, error: String(error) });
      throw error;
    }
  }

  private async compactTo(
    index: number,
    state: Uint8Array | AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const { raft, options } = this;
    const { storage } = options;
    const term = raft.log.termAt(index);
    if (term === undefined || index <= raft.log.snapshotIndex) return;
    const configuration = raft.log.configurationAt(index);
    if (!(await storage.saveSnapshot({ index, term, configuration }, state))) return;
    if (index <= raft.log.snapshotIndex || this.closed) return;
    const base = Math.max(raft.log.baseIndex, storage.retention.baseFor(index));
    raft.compact(index, base);
    await storage.trimHead(base + 1);
  }

  close(): void {
    this.closed = true;
    for (const leave of this.leave) leave();
    this.commitNews.close();
    this.ending.abort(closedError(this.options.groupId));
    this.calls.stop(closedError(this.options.groupId));
    this.snapshots.stop();
    this.links.close();
    for (const stream of this.inbound.keys()) stream.cancel();
  }

  /** A tick passed. */
  tick(): void {
    this.raft.now = this.options.ports.clock.now();
    const due = this.elections.tick();
    if (due && this.raft.role === 'leader') this.options.onHeartbeat();
    this.calls.tick();
    this.handshake.tick();
    const waits = this.isWaiting && this.tickParts();
    if (waits || due) this.schedule();
  }

  /** What waits has deadlines, which are looked at with each tick. */
  get ticksUntilDue(): number {
    const waits = this.isWaiting || this.calls.isWaiting;
    return waits ? 1 : this.raft.ticksUntilDue;
  }

  private get isWaiting(): boolean {
    for (const part of this.parts) if (part.isWaiting) return true;
    return false;
  }

  /** Whether one of the parts needs a turn. */
  private tickParts(): boolean {
    let needed = false;
    for (const part of this.parts) if (part.onTick?.()) needed = true;
    return needed;
  }

  private turn(): void {
    const { ticker } = this.options.resources;
    ticker.count();
    this.raft.now = this.options.ports.clock.now();
    // Not while they arrive: there a broken invariant would only break the stream.
    for (const message of this.inbox.splice(0)) {
      if (this.handshake.hasRolledBack(message)) return;
      this.raft.step(message);
    }
    // After what came before: taken later, the last words of a leader that is gone would make it the leader again.
    for (const member of this.broken.splice(0)) this.elections.disconnected(member);
    if (this.answered()) return;
    this.handover.review();
    this.preferred.review();
    for (const part of this.parts) part.beforeTurn?.();
    const { storage } = this.options;
    const effects = this.raft.effects(this.commitNews.urgentTo());
    this.commitNews.note(effects.commitUntold);
    this.handshake.review();
    this.connect();
    this.elections.look();
    for (const message of effects.messages) this.post(message);
    this.links.flush();
    if (effects.write !== undefined) storage.write(effects.write);
    for (const { to, from, bytesMax } of effects.fetches) {
      this.entryProvider.provide(to, from, bytesMax);
    }
    for (const part of this.parts) part.afterTurn?.(effects);
    ticker.review(this);
  }

  private post(message: Message): void {
    const channel = this.channelTo(message.to);
    const { resources, groupId, memberId } = this.options;
    const beats = message.type === 'heartbeat' || message.type === 'heartbeatResponse';
    if (
      beats &&
      channel !== undefined &&
      this.links.isOpen(message.to) &&
      resources.heartbeats !== undefined
    ) {
      const { identity } = this.raft.log;
      resources.heartbeats.post({ groupId, identity, from: memberId }, channel.address, message);
    } else this.links.post(message);
  }

  /**
   * When a leader committed something, those who wait for it are told first, and the turn goes on after
   * them: what they append next then travels with the news of the commit.
   */
  private answered(): boolean {
    const { commit } = this.raft.log;
    const due = this.raft.role === 'leader' && commit !== this.answeredCommit && !this.paused;
    this.paused = due;
    if (!due) return false;
    this.answeredCommit = commit;
    for (const part of this.parts) part.onCommit?.();
    this.schedule();
    return true;
  }

  /** Has a link to every member, and to those who are being told that they are none any more. */
  private connect(): void {
    const { configuration, leadership } = this.raft;
    const speaks = (it: number): boolean => [...this.inbound.values()].includes(it);
    this.links.connect(configuration, (it) => speaks(it) || !!leadership?.progress.has(it));
  }

  private note(level: 'warn' | 'error', event: string, fields: Record<string, unknown>): void {
    const { ports, groupId } = this.options;
    ports.logger.log(level, event, { group: groupId, ...fields });
  }

  private disconnected(member: number): void {
    if (this.closed) return;
    this.broken.push(member);
    this.schedule();
  }

  private receive(message: Message): void {
    if (this.closed) return;
    this.heard.set(message.from, this.options.ports.clock.now());
    this.handshake.durability.observe(message);
    const { term, log } = this.raft;
    // One of a deposed leader must not take the place of what the newest one sends.
    if (message.type === 'snapshot' && message.term >= term && message.index > log.commit) {
      void this.snapshots.receive(message);
      return;
    }
    this.inbox.push(message);
    this.schedule();
  }
}
