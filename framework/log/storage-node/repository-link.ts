import {
  Backoff,
  type Channel,
  callOnce,
  type MessageStream,
  Outbox,
  type Ports,
  reasonOf,
  type Timer,
  type UnaryMethod,
  VarlogError,
} from '../../base/index.ts';
import {
  type Hello,
  HistoryRequest,
  MembersRequest,
  Ordering,
  type ReplicaSizes,
  SessionRequest,
  type SessionResponse,
} from '../../wire/gen/log.ts';
import type { Report } from '../core/index.ts';
import { reportToWire } from '../report-codec.ts';
import { LOG_TIMES } from '../timing.ts';
import type { KnownMembers } from './known-members.ts';

/** What a node is told that is taken for somebody else or shows no token, or finds when it cannot write down whose it is. */
const REFUSALS = new Set([
  'CLUSTER_MISMATCH',
  'DISK_FAILED',
  'DISK_FULL',
  'DISK_UNKNOWN',
  'ALREADY_EXISTS',
  'FAILED_PRECONDITION',
  'UNAUTHENTICATED',
]);

/** Most elections are over by then: that no link comes about is news after so many rounds. */
const TOLD_AFTER_ROUNDS = 5;

/** So often the leader is told how many bytes replicas have: that may be old, and is not to make each message longer. */
const SIZES_EVERY_MS = 5_000;

export interface RepositoryLinkOptions {
  ports: Ports;
  hello: Hello;
  /** Identity of the cluster that the node is part of. */
  cluster: () => string | undefined;
  members: KnownMembers;
  /** Reports of all replicas, for a new link. */
  allReports(): Report[];
  /** What the replicas that are open take on the disk. */
  sizes(): ReplicaSizes;
  receive(response: SessionResponse): void | Promise<void>;
  /** See {@link StorageNodeOptions.leaderHeardAt}. */
  leaderHeardAt(address: string): number;
}

/**
 * A storage node's link to whichever member of the metadata repository leads: finds it, tells it
 * what changed, hears what was decided, and starts anew whenever the link breaks.
 */
export class RepositoryLink {
  private readonly options: RepositoryLinkOptions;
  private readonly stopped = new AbortController();
  private running: Promise<void> = Promise.resolve();
  private changed = new Map<number, () => Report>();
  private history = new Map<number, number>();
  private removed: number[] = [];
  private refused: VarlogError | undefined;
  /** Why no link came about at each address, when that was tried last. */
  private readonly failures = new Map<string, VarlogError>();
  /** So often all members were asked since there was a link. */
  private rounds = 0;
  private channel: Channel | undefined;
  /** To a leader that has accepted this node. */
  private stream: MessageStream<SessionRequest, SessionResponse> | undefined;
  private readonly outbox: Outbox<SessionRequest>;
  /** The leader is to hear of this node, with or without news. */
  private sendDue = false;
  /** Who leads by the word of another member. */
  private hint: string | undefined;
  private lostAt: number | undefined;
  private isAsking = false;
  private asked = 0;
  private lastSent = 0;
  /** When the leader of this link is to be told the sizes of replicas. */
  private sizesDue = 0;
  private lastHeard = 0;
  /** How long messages are on the way, to the leader and back, as measured by the last one that it has answered. */
  wireMs = 0;

  constructor(options: RepositoryLinkOptions) {
    this.options = options;
    this.outbox = new Outbox(options.ports.clock, () => {
      if (this.hasNews || this.sendDue) this.flush();
    });
  }

  start(): void {
    this.running = this.run();
  }

  /** Whether a leader has accepted this node. */
  get connected(): boolean {
    return this.stream !== undefined;
  }

  /** Tells the leader, with this turn's other changes, once the stream is writable. */
  report(logStreamId: number, current: () => Report): void {
    this.changed.set(logStreamId, current);
    this.flushSoon();
  }

  /** Tells the leader with the next message what replicas take on the disk: there is another one. */
  tellSizes(): void {
    this.sizesDue = 0;
  }

  requestHistory(logStreamId: number, version: number): void {
    this.history.set(logStreamId, version);
    this.flushSoon();
  }

  /** Tells the leader that a replica which was to go is gone. */
  confirmRemoval(logStreamId: number): void {
    this.removed.push(logStreamId);
    this.flushSoon();
  }

  /** Why the metadata repository does not take this node for the one that it says it is. */
  get refusal(): VarlogError | undefined {
    return this.refused;
  }

  /** Why there is no link, as far as that was heard. */
  get whyNot(): string {
    const all = [...this.failures.values()];
    // That one does not lead, most members say.
    const told = all.find((it) => it.code !== 'NOT_LEADER') ?? all.at(-1);
    const why = told === undefined ? '' : ` (${reasonOf(told)})`;
    return `no link to the leader of the metadata repository${why}`;
  }

  /** Calls the member that leads. Rejects with `UNAVAILABLE` while there is no link to one. */
  async call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
  ): Promise<Response> {
    const { channel, stream } = this;
    if (channel === undefined || stream === undefined) {
      throw new VarlogError('UNAVAILABLE', {
        what: 'this storage node has no link to the leader of the metadata repository',
        next: 'try again soon, or ask another node',
      });
    }
    return channel.call(method, request, {
      timeoutMs: LOG_TIMES.callTimeoutMs,
      signal: this.stopped.signal,
    });
  }

  async close(): Promise<void> {
    this.stopped.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    const { ports } = this.options;
    const { signal } = this.stopped;
    const backoff = new Backoff(
      ports.random,
      LOG_TIMES.sessionRetryMinMs,
      LOG_TIMES.sessionRetryMaxMs,
    );
    for (let turn = 0; !signal.aborted; turn++) {
      const members = this.options.members.addresses;
      const address = this.hint ?? members[turn % members.length]!;
      this.hint = undefined;
      const channel = ports.network.connect(address, { cluster: this.options.cluster });
      this.channel = channel;
      const started = ports.clock.now();
      let reason = 'it was ended';
      try {
        await this.runStream(channel);
      } catch (error) {
        reason = reasonOf(error);
        if (signal.aborted) return;
        const leader = VarlogError.is(error, 'NOT_LEADER') ? error.details['leader'] : undefined;
        if (typeof leader === 'string' && leader !== address) this.hint = leader;
        if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
        this.failures.set(address, error);
        if (error.code === 'CLUSTER_MISMATCH') this.options.members.isOfAnother(address);
        if (REFUSALS.has(error.code)) this.noteRefusal(error);
      } finally {
        this.onDisconnected(address, reason);
        this.stream = undefined;
        channel.close();
      }
      const lasted = ports.clock.now() - started > LOG_TIMES.sessionRetryMaxMs;
      const isNews = lasted || this.hint !== undefined;
      if (isNews) backoff.reset();
      // One of them leads, most of the time: all are asked before this node is taken for lost, and then less and less often.
      const allWereAsked = (turn + 1) % members.length === 0;
      // A refusal was told already.
      if (allWereAsked && ++this.rounds === TOLD_AFTER_ROUNDS && this.refused === undefined) {
        ports.logger.log('warn', 'this storage node finds no leader', { reason: this.whyNot });
      }
      if (isNews || allWereAsked) await backoff.pause(ports.clock, signal);
    }
  }

  private onDisconnected(address: string, reason: string): void {
    if (this.stream === undefined || this.stopped.signal.aborted) return;
    const { clock, logger } = this.options.ports;
    this.lostAt = clock.now();
    logger.log('warn', 'lost the link to the metadata repository', { address, reason });
  }

  /** The member that was asked leads, and has accepted this node. */
  private onConnected(): void {
    const { clock, logger } = this.options.ports;
    const without = this.lostAt === undefined ? undefined : Math.round(clock.now() - this.lostAt);
    const facts = without === undefined ? {} : { withoutMs: without };
    this.failures.clear();
    this.rounds = 0;
    logger.log('info', 'linked to the leader of the metadata repository', facts);
  }

  private noteRefusal(error: VarlogError): void {
    if (this.refused?.message !== error.message) {
      const { logger } = this.options.ports;
      logger.log('error', 'refused by the metadata repository', { error: error.message });
    }
    this.refused = error;
  }

  private async runStream(channel: Channel): Promise<void> {
    const { clock } = this.options.ports;
    const stream = channel.open(Ordering.Session, { signal: this.stopped.signal });
    let isOver = false;
    let isSilent = false;
    let handling: Promise<void> | undefined;
    stream.receive((response) => {
      this.lastHeard = clock.now();
      this.measure(response);
      // What is said before the first answer would be said to one that does not lead.
      const accepted = (): void => {
        if (isOver) return;
        if (this.stream === undefined) this.onConnected();
        this.stream = stream;
        this.refused = undefined;
        postpone();
        if (this.lastHeard - this.lastSent >= LOG_TIMES.answerAfterMs) this.scheduleSend();
        else this.flushSoon();
      };
      const handled = this.options.receive(response);
      if (handled === undefined) return accepted();
      handling = handled.then(accepted);
      return handling;
    });
    this.lastHeard = clock.now();
    this.lastSent = this.lastHeard;
    this.sizesDue = this.lastHeard;
    this.outbox.unblock();
    const { hello } = this.options;
    const reports = this.options.allReports().map(reportToWire);
    stream.send(SessionRequest.create({ hello, reports, sentAt: this.stamp() }));
    let timer: Timer;
    let quietMax = LOG_TIMES.quietMaxMs;
    let due = clock.now() + LOG_TIMES.quietMaxMs;
    const beat = (): void => {
      const now = clock.now();
      // While this process is held up, what the leader says waits: that is no silence of the leader.
      this.lastHeard = Math.min(now, this.lastHeard + Math.max(0, now - due));
      const silentMs = now - this.lastHeard;
      isSilent = silentMs > LOG_TIMES.leaderSilenceMaxMs;
      if (isSilent) stream.cancel();
      const quietMs = now - this.lastSent;
      const isQuiet = quietMs >= quietMax;
      if (isQuiet) this.flush();
      quietMax = isQuiet ? LOG_TIMES.speakAgainMs : LOG_TIMES.quietMaxMs;
      const unheardMs = Math.min(silentMs, now - this.options.leaderHeardAt(channel.address));
      const isSuspect = unheardMs >= LOG_TIMES.suspectLeaderAfterMs;
      if (isSuspect) void this.askWhoLeads(channel.address, () => stream.cancel());
      const untilSuspect = isSuspect
        ? LOG_TIMES.askWhoLeadsAgainMs
        : LOG_TIMES.suspectLeaderAfterMs - unheardMs;
      const untilSilent = LOG_TIMES.leaderSilenceMaxMs - silentMs;
      const untilSpeaking = isQuiet ? quietMax : quietMax - quietMs;
      // So little may be left that adding it to the time changes nothing: it would beat for ever.
      beatIn(Math.max(1, Math.min(untilSuspect, untilSilent, untilSpeaking)));
    };
    const beatIn = (wait: number): void => {
      due = clock.now() + wait;
      timer = clock.after(wait, beat);
    };
    // Who hears the leader in time has nothing to wake up for. Not with each of many messages.
    const postpone = (): void => {
      const now = clock.now();
      const quietMs = now - this.lastSent;
      const isAnswered = quietMs >= LOG_TIMES.answerAfterMs;
      const untilSpeaking = LOG_TIMES.quietMaxMs - (isAnswered ? 0 : quietMs);
      const untilSuspect = LOG_TIMES.suspectLeaderAfterMs - (now - this.lastHeard);
      const wait = Math.min(untilSpeaking, untilSuspect);
      if (due + LOG_TIMES.answerAfterMs > now + wait) return;
      quietMax = LOG_TIMES.quietMaxMs;
      timer.cancel();
      beatIn(wait);
    };
    timer = clock.after(LOG_TIMES.quietMaxMs, beat);
    try {
      await stream.closed;
    } catch (error) {
      throw isSilent ? silent(channel.address) : error;
    } finally {
      isOver = true;
      timer.cancel();
      // Who closes this link hears nothing more from it then, and what comes over the next one is newer.
      await handling?.catch(() => {});
    }
  }

  /** A leader that stands still breaks no link: leaves it as soon as another member names a new one. */
  private async askWhoLeads(silent: string, leave: () => void): Promise<void> {
    const { ports, cluster } = this.options;
    const others = this.options.members.addresses.filter((it) => it !== silent);
    if (others.length === 0 || this.isAsking) return;
    this.isAsking = true;
    const other = others[this.asked++ % others.length]!;
    const limits = { timeoutMs: LOG_TIMES.suspectLeaderAfterMs, signal: this.stopped.signal };
    try {
      const request = MembersRequest.create({});
      const options = { cluster, ...limits };
      const found = await callOnce(ports.network, other, Ordering.Members, request, options);
      const leader = found.members.find((it) => it.id === found.leader)?.address;
      if (leader === undefined || leader === silent || this.channel?.address !== silent) return;
      this.hint = leader;
      leave();
    } catch (error) {
      if (!VarlogError.is(error) && !this.stopped.signal.aborted) throw error;
    } finally {
      this.isAsking = false;
    }
  }

  private flushSoon(): void {
    if (this.hasNews) this.scheduleSend();
  }

  /** At the end of the turn, also when there is nothing to report: that this node is alive. */
  private scheduleSend(): void {
    if (this.stream === undefined) return;
    this.sendDue = true;
    this.outbox.schedule();
  }

  private get hasNews(): boolean {
    return this.changed.size > 0 || this.history.size > 0 || this.removed.length > 0;
  }

  private flush(): void {
    const { stream } = this;
    if (stream === undefined || this.outbox.isBlocked) return;
    this.sendDue = false;
    const reports = [...this.changed.values()].map((current) => reportToWire(current()));
    const history = [...this.history].map(([logStreamId, fromVersion]) =>
      HistoryRequest.create({ logStreamId, fromVersion }),
    );
    this.changed = new Map();
    this.history = new Map();
    const { removed } = this;
    this.removed = [];
    this.lastSent = this.options.ports.clock.now();
    // Reports are cumulative: while the stream is not writable, the newest of each replica is enough.
    const sentAt = this.stamp();
    const sizes = this.takeSizes();
    this.outbox.send(stream, SessionRequest.create({ reports, history, removed, sentAt, sizes }));
  }

  private takeSizes(): ReplicaSizes | null {
    if (this.lastSent < this.sizesDue) return null;
    this.sizesDue = this.lastSent + SIZES_EVERY_MS;
    return this.options.sizes();
  }

  /** Now, in whole microseconds, and never 0. */
  private stamp(): number {
    return Math.max(1, Math.floor(this.options.ports.clock.now() * 1_000));
  }

  /** Both times of a message are by this node's clock, and the time in between by the leader's: clocks need not agree. */
  private measure({ lastSentAt, held }: SessionResponse): void {
    if (lastSentAt > 0) this.wireMs = Math.max(0, this.lastHeard - (lastSentAt + held) / 1_000);
  }
}

function silent(address: string): VarlogError {
  return new VarlogError('UNREACHABLE', {
    what: `nothing was heard from the member at ${address} for ${LOG_TIMES.leaderSilenceMaxMs / 1_000} s`,
    next: 'check that it runs and is not stuck, and that nothing on the way drops what is sent in either direction',
  });
}
