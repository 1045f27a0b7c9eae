import { SequenceMap } from '../base/index.ts';

/** Commands that wait until there is room in the queue: in the order in which they came, and no more bytes than it has itself. */
export class BlockedCommands<T extends object> {
  private readonly bytesMax: number;
  private readonly commands = new SequenceMap<{ readonly command: T; readonly size: number }>();
  private readonly keys = new Map<T, number>();
  private bytes = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get isEmpty(): boolean {
    return this.commands.size === 0;
  }

  /** Whether one of so many bytes may wait. */
  hasRoom(size: number): boolean {
    return this.bytes + size <= this.bytesMax;
  }

  add(command: T, size: number): void {
    this.keys.set(command, this.commands.add({ command, size }));
    this.bytes += size;
  }

  /** Takes out the one that waits longest, if it has `room` bytes at most. */
  take(room: number): T | undefined {
    const key = this.commands.firstKey;
    const first = key === undefined ? undefined : this.commands.get(key);
    if (first === undefined || first.size > room) return undefined;
    this.delete(first.command);
    return first.command;
  }

  /** Whether it was waiting. */
  delete(command: T): boolean {
    const key = this.keys.get(command);
    if (key === undefined) return false;
    this.bytes -= this.commands.get(key)?.size ?? 0;
    this.commands.delete(key);
    return this.keys.delete(command);
  }
}
