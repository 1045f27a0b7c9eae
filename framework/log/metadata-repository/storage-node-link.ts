import { type Clock, type MessageStream, Outbox } from '../../base/index.ts';
import {
  type Assignment,
  type CutTimes,
  type Hello,
  PartEntry,
  type SessionRequest,
  SessionResponse,
  Watermark,
  Commit as WireCommit,
} from '../../wire/gen/log.ts';
import type { Commit, Metadata } from '../core/index.ts';
import { LOG_TIMES } from '../timing.ts';

/** Older commits that are said in one message, of one log stream and altogether. */
const PIECE_OF_ONE = 256;
const PIECE_COMMITS = 1_024;

/**
 * The leader's link to one storage node: gathers what is to be said in one turn into one message.
 * Nothing queues up for a node that reads slowly: of what cannot be said now it is only noted that it
 * is still to be said, and older commits go in pieces, each when there is room for it.
 */
export class StorageNodeLink {
  readonly node: number;
  /** Random id of the storage node's process, new with every start. */
  readonly processId: string;
  readonly address: string;
  readonly disk: string;
  /** The highest feature level that the node supports. */
  readonly supportedLevel: number;
  /** By log stream: what the node said last that its replicas take on its disk. */
  sizes: ReadonlyMap<number, number> = new Map();
  lastHeard: number;
  private readonly metadata: Metadata;
  private readonly stream: MessageStream<SessionResponse, SessionRequest>;
  private readonly clock: Clock;
  private readonly outbox: Outbox<SessionResponse>;
  private assignments = new Map<number, Assignment>();
  private commits: WireCommit[] = [];
  private watermarks = new Map<number, number>();
  /** Parts of atomic appends that may enter their logs, by log stream and append. */
  private entering = new Map<string, PartEntry>();
  /** Log streams of which older commits come first, and the version of the next one to say. */
  private readonly pendingHistory = new Map<number, number>();
  private cluster = '';
  /** The last message of the node: when it came here, and when it had left there, by the clocks of either. */
  private heardAt = 0;
  private lastSentAt = 0;
  /** Empty when there is nothing to say of them. */
  private memberAddresses: readonly string[] = [];
  private ended = false;
  /** When anything was said to the node. */
  private toldAt: number;
  /** Since when a sign of life is missed that was asked for; 0: none is. */
  private askedAt = 0;
  private readonly hearsHeartbeats: boolean;

  constructor(
    { storageNodeId, incarnation, address, disk, supportedLevel, hearsHeartbeats }: Hello,
    stream: MessageStream<SessionResponse, SessionRequest>,
    { metadata, clock }: { metadata: Metadata; clock: Clock },
  ) {
    this.node = storageNodeId;
    this.processId = incarnation;
    this.address = address;
    this.disk = disk;
    this.supportedLevel = supportedLevel;
    this.hearsHeartbeats = hearsHeartbeats;
    this.metadata = metadata;
    this.stream = stream;
    this.clock = clock;
    this.outbox = new Outbox(clock, () => this.flushNews());
    this.lastHeard = clock.now();
    this.toldAt = this.lastHeard;
  }

  /** A message came that had left at `sentAt`, by the node's clock. */
  touch(sentAt: number): void {
    this.heardAt = this.clock.now();
    this.lastHeard = this.heardAt;
    this.askedAt = 0;
    this.lastSentAt = sentAt;
  }

  /** It could not be heard for so many milliseconds, for reasons that are not its own. */
  extendDeadline(ms: number): void {
    this.lastHeard = Math.min(this.clock.now(), this.lastHeard + ms);
  }

  /** The newest one of a log stream counts. */
  assign(assignment: Assignment): void {
    this.assignments.set(assignment.logStreamId, assignment);
  }

  /** The assignments said so far are all that the node has, in this cluster. */
  completeAssignments(cluster: string): void {
    this.cluster = cluster;
  }

  /** Where the members of the metadata repository listen: the newest list counts. */
  tellMembers(addresses: readonly string[]): void {
    this.memberAddresses = addresses;
  }

  /** `times`: how long its cut took, for the primary of the log stream. */
  commit(commit: Commit, times?: CutTimes): void {
    const { logStreamId, version } = commit;
    if (this.pendingHistory.has(logStreamId)) return;
    if (this.outbox.isBlocked) this.pendingHistory.set(logStreamId, version);
    else this.commits.push(WireCommit.create(times === undefined ? commit : { ...commit, times }));
  }

  /** The node lacks the commits of a log stream from `version` on. */
  sendHistoryFrom(logStreamId: number, version: number): void {
    this.pendingHistory.set(logStreamId, version);
  }

  watermark(topicId: number, highWatermark: number): void {
    this.watermarks.set(topicId, highWatermark);
  }

  /** A part of an atomic append that the node has parked may enter its log. Said at the end of the turn. */
  letIn(logStreamId: number, id: number): void {
    this.entering.set(`${logStreamId} ${id}`, PartEntry.create({ logStreamId, id }));
    this.outbox.schedule();
  }

  /** Says what has been gathered; with nothing gathered, that the leader is alive. */
  flush(): void {
    if (this.outbox.isBlocked || this.ended) return;
    this.toldAt = this.clock.now();
    this.addPiece();
    this.outbox.send(
      this.stream,
      SessionResponse.create({
        assignments: [...this.assignments.values()],
        complete: this.cluster !== '',
        cluster: this.cluster,
        memberAddresses: [...this.memberAddresses],
        commits: this.commits,
        watermarks: this.takeWatermarks(),
        entering: [...this.entering.values()],
        lastSentAt: this.lastSentAt,
        held: this.lastSentAt === 0 ? 0 : Math.floor((this.toldAt - this.heardAt) * 1_000),
      }),
    );
    this.entering = new Map();
    this.assignments = new Map();
    this.commits = [];
    this.cluster = '';
    this.memberAddresses = [];
    // The leader's other work has its turn in between.
    if (this.pendingHistory.size > 0) this.outbox.schedule();
  }

  /**
   * To be called every `LOG_TIMES.keepaliveMs`: says that the leader is alive, or ends the link when the node is silent. `byRaft`:
   * when its process was last heard by Raft; `-Infinity`: never. Where both hear each other by Raft as well, every other
   * keepalive will do; a link that hangs is ended no later for that.
   */
  keepAlive(byRaft: number): void {
    const now = this.clock.now();
    const heardAt = this.hearsHeartbeats ? byRaft : Number.NEGATIVE_INFINITY;
    if (this.isLost(now, heardAt)) this.end();
    else if (!this.mayRest(now, heardAt)) {
      this.askedAt ||= now;
      this.flush();
    }
  }

  /** A process that answers Raft, and not here, has a link that hangs; one that has done neither since it was asked may be held up. */
  private isLost(now: number, heardAt: number): boolean {
    const isOver = (since: number): boolean => now - since > LOG_TIMES.nodeSilenceMaxMs;
    return isOver(this.lastHeard) && (isOver(heardAt) || heardAt > this.askedAt);
  }

  /** Whether a keepalive may be left out: since the one before the last, each of the two has heard the other. */
  private mayRest(now: number, heardAt: number): boolean {
    const oldest = Math.min(this.lastHeard, this.toldAt, heardAt);
    return now - oldest < LOG_TIMES.keepaliveMs * 1.5;
  }

  end(): void {
    this.ended = true;
    this.stream.cancel();
  }

  private flushNews(): void {
    const news = [this.assignments, this.pendingHistory, this.watermarks, this.entering];
    const isUntold = this.memberAddresses.length > 0;
    if (this.commits.length > 0 || isUntold || news.some((it) => it.size > 0)) this.flush();
  }

  /** The next older commits, some of each log stream in turn. */
  private addPiece(): void {
    let room = PIECE_COMMITS;
    for (const [id, version] of [...this.pendingHistory]) {
      if (room <= 0) return;
      this.pendingHistory.delete(id);
      const { history } = this.metadata.logStreams.get(id) ?? {};
      const commits = history?.from(version, Math.min(room, PIECE_OF_ONE)) ?? [];
      const last = commits.at(-1);
      for (const it of commits) this.commits.push(WireCommit.create(it));
      room -= commits.length;
      if (last === undefined || last.version === history!.last!.version) continue;
      this.pendingHistory.set(id, last.version + 1);
    }
  }

  /** None of a topic of which the node is still to hear commits: they are at or below it. */
  private takeWatermarks(): Watermark[] {
    const withheld = new Set(
      [...this.pendingHistory.keys()].map((id) => this.metadata.logStreams.get(id)?.topicId),
    );
    const ready: Watermark[] = [];
    for (const [topicId, highWatermark] of this.watermarks) {
      if (withheld.has(topicId)) continue;
      ready.push(Watermark.create({ topicId, highWatermark }));
      this.watermarks.delete(topicId);
    }
    return ready;
  }
}
