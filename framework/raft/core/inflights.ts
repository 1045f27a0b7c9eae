import type { LogIndex } from '../../base/index.ts';

interface Inflight {
  readonly end: LogIndex;
  readonly bytes: number;
}

/** Append messages on their way to one member, limited in number and in bytes. */
export class Inflights {
  bytes = 0;
  private readonly queue: Inflight[] = [];
  private readonly messagesMax: number;
  private readonly bytesMax: number;

  constructor(messagesMax: number, bytesMax: number) {
    this.messagesMax = messagesMax;
    this.bytesMax = bytesMax;
  }

  get count(): number {
    return this.queue.length;
  }

  get full(): boolean {
    return this.queue.length >= this.messagesMax || this.bytes >= this.bytesMax;
  }

  /** A message whose last entry is `end` was sent. */
  add(end: LogIndex, bytes: number): void {
    this.queue.push({ end, bytes });
    this.bytes += bytes;
  }

  /** Everything up to `index` arrived. */
  freeTo(index: LogIndex): void {
    let gone = 0;
    while (gone < this.queue.length && this.queue[gone]!.end <= index) {
      this.bytes -= this.queue[gone++]!.bytes;
    }
    if (gone > 0) this.queue.splice(0, gone);
  }

  clear(): void {
    this.queue.length = 0;
    this.bytes = 0;
  }
}
