import { type Frame, payloadOf, wireBytes } from './network-frame.ts';
import type { Links } from './network-links.ts';
import type { ProcessLife } from './process-life.ts';
import type { Scheduler } from './scheduler.ts';
import { fingerprint, type Trace } from './trace.ts';

/** What connections share. */
export interface Medium {
  readonly scheduler: Scheduler;
  readonly links: Links;
  readonly trace: Trace;
  /** Whether a host's machine runs, with or without the process. */
  isUp(host: string): boolean;
}

/** After three of these without a word from the peer a connection is given up; in the third it is asked. */
const PATIENCE_MS = 5_000;

/** One end of a connection. Frames arrive at the other in order, each once, until it breaks. */
export class ConnectionEnd {
  readonly processLife: ProcessLife;
  peer!: ConnectionEnd;
  onFrame: (frame: Frame) => void = () => {};
  /** Called once, when the connection was broken by something else than {@link close}. */
  onBroken: () => void = () => {};
  /** Called when this end is of no more use, for whatever reason. */
  onOver: () => void = () => {};
  private readonly medium: Medium;
  private open = true;
  private outgoing: Frame[] = [];
  private stalled = 0;
  private arrivalMs = 0;
  private silences = 0;

  constructor(medium: Medium, processLife: ProcessLife) {
    this.medium = medium;
    this.processLife = processLife;
  }

  static pair(medium: Medium, a: ProcessLife, b: ProcessLife): [ConnectionEnd, ConnectionEnd] {
    const ends: [ConnectionEnd, ConnectionEnd] = [
      new ConnectionEnd(medium, a),
      new ConnectionEnd(medium, b),
    ];
    ends[0].peer = ends[1];
    ends[1].peer = ends[0];
    for (const end of ends) end.watch();
    return ends;
  }

  send(frame: Frame): void {
    if (this.open) this.transmit(frame);
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.transmit({ kind: 'closed' });
    this.onOver();
  }

  /** The process is gone. Its kernel says so to the peer, unless the machine is gone too. */
  abandon(machineToo: boolean): void {
    if (!machineToo) {
      this.close();
      return;
    }
    this.open = false;
    this.outgoing = [];
    this.stalled = 0;
  }

  private get toHost(): string {
    return this.peer.processLife.host;
  }

  private transmit(frame: Frame): void {
    const { scheduler, links } = this.medium;
    if (links.resets()) scheduler.after(0, () => this.reset());
    const dueMs = scheduler.nowMs + links.delayMs(wireBytes(payloadOf(frame)));
    this.arrivalMs = Math.max(this.arrivalMs, dueMs);
    this.outgoing.push(frame);
    scheduler.after(this.arrivalMs - scheduler.nowMs, () => this.deliver());
  }

  private deliver(): void {
    const { links } = this.medium;
    const next = this.outgoing[0];
    if (next === undefined) return;
    if (links.isBlocked(this.processLife.host, this.toHost)) {
      if (this.stalled++ === 0) links.whenOpened(() => this.unstall());
      return;
    }
    this.outgoing.shift();
    this.peer.arrive(next);
  }

  private unstall(): void {
    const count = this.stalled;
    this.stalled = 0;
    for (let i = 0; i < count; i++) this.deliver();
  }

  private arrive(frame: Frame): void {
    const { medium, processLife } = this;
    if (!medium.isUp(processLife.host)) return;
    const payload = payloadOf(frame);
    const content = payload === undefined ? '' : ` ${payload.length} ${fingerprint(payload)}`;
    const call = 'call' in frame ? ` ${frame.call}` : '';
    const line = `${this.toHost} > ${processLife.host} ${frame.kind}${call}${content}`;
    medium.trace.note(medium.scheduler.nowMs, line);
    if (processLife.dead || !this.open) {
      // This machine knows no such connection (any more), and says so.
      if (frame.kind !== 'closed') this.transmit({ kind: 'closed' });
      return;
    }
    processLife.run(() => this.take(frame));
  }

  private take(frame: Frame): void {
    if (!this.open) return;
    this.silences = 0;
    if (frame.kind === 'closed') this.broken();
    else if (frame.kind === 'ping') this.send({ kind: 'pong' });
    else if (frame.kind !== 'pong') this.onFrame(frame);
  }

  private broken(): void {
    if (!this.open) return;
    this.open = false;
    this.onOver();
    this.onBroken();
  }

  private reset(): void {
    for (const end of [this, this.peer]) end.processLife.run(() => end.broken());
  }

  private watch(): void {
    this.medium.scheduler.after(PATIENCE_MS, () => {
      if (!this.open || this.processLife.dead) return;
      this.processLife.run(() => this.listen());
      this.watch();
    });
  }

  private listen(): void {
    if (!this.open) return;
    this.silences++;
    if (this.silences === 2) this.send({ kind: 'ping' });
    if (this.silences <= 3) return;
    this.transmit({ kind: 'closed' });
    this.broken();
  }
}
