import type { Clock, MessageStream } from '../../base/index.ts';
import {
  type Assignment,
  type Hello,
  type SessionRequest,
  SessionResponse,
  Watermark,
  Commit as WireCommit,
} from '../../wire/gen/log.ts';
import type { Commit } from '../core/index.ts';

/** A node that reads so slowly gets a new session, and with it the complete state, instead. */
const WAITING_MESSAGES_MAX = 10_000;

/**
 * The leader's link to one storage node: gathers what is to be said in one turn into one message.
 */
export class Session {
  readonly node: number;
  /** Of the process at the other end. */
  readonly incarnation: string;
  readonly address: string;
  readonly disk: string;
  lastHeard: number;
  private readonly stream: MessageStream<SessionResponse, SessionRequest>;
  private readonly clock: Clock;
  private assignments: Assignment[] = [];
  private commits: WireCommit[] = [];
  private watermarks = new Map<number, number>();
  private cluster = '';
  private waiting = 0;

  constructor(
    { storageNodeId, incarnation, address, disk }: Hello,
    stream: MessageStream<SessionResponse, SessionRequest>,
    clock: Clock,
  ) {
    this.node = storageNodeId;
    this.incarnation = incarnation;
    this.address = address;
    this.disk = disk;
    this.stream = stream;
    this.clock = clock;
    this.lastHeard = clock.now();
  }

  heard(): void {
    this.lastHeard = this.clock.now();
  }

  assign(assignment: Assignment): void {
    this.assignments.push(assignment);
  }

  /** The assignments said so far are all that the node has, in this cluster. */
  welcome(cluster: string): void {
    this.cluster = cluster;
  }

  commit(commit: Commit): void {
    this.commits.push(WireCommit.create(commit));
  }

  watermark(topicId: number, highWatermark: number): void {
    this.watermarks.set(topicId, highWatermark);
  }

  /** Says what has been gathered; with nothing gathered, that the leader is alive. */
  flush(): void {
    const accepted = this.stream.send(
      SessionResponse.create({
        assignments: this.assignments,
        complete: this.cluster !== '',
        cluster: this.cluster,
        commits: this.commits,
        watermarks: [...this.watermarks].map(([topicId, highWatermark]) =>
          Watermark.create({ topicId, highWatermark }),
        ),
      }),
    );
    this.assignments = [];
    this.commits = [];
    this.watermarks = new Map();
    this.cluster = '';
    if (accepted) return;
    this.waiting++;
    if (this.waiting > WAITING_MESSAGES_MAX) {
      this.end();
      return;
    }
    this.stream.writable().then(
      () => {
        this.waiting = 0;
      },
      () => {},
    );
  }

  end(): void {
    this.stream.cancel();
  }
}
