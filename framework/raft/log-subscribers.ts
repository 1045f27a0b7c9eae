import {
  decodeBatch,
  type Followed,
  type LogEntry,
  onAbort,
  VarlogError,
  Wakeups,
} from '../base/index.ts';
import { type EntryBatch, isConfigurationEntry, type RaftLog } from './core/index.ts';
import type { RaftStorage } from './storage.ts';
import type { TurnPart } from './turn-part.ts';

/** What is given to a follower at once stays small: what it makes of it is done in one go. */
const READ_BYTES = 32 * 1024;

/** What is to be given out, and, where it is a snapshot, closed. */
type Found =
  | Extract<Followed, { kind: 'entries' }>
  | (Extract<Followed, { kind: 'snapshot' }> & { close(): Promise<void> });

/** Gives the committed entries of this member's log to whoever follows it, at their pace. */
export class LogSubscribers implements TurnPart {
  private readonly log: RaftLog;
  private readonly storage: RaftStorage;
  private readonly onApplied: () => void;
  private readonly wakeups = new Wakeups();
  /** Committed, and readable in the store. */
  private visible: number;
  private stopped: VarlogError | undefined;
  /** The largest index that any consumer has taken. */
  applied = 0;

  /** `onApplied` is called when {@link applied} moves. */
  constructor(log: RaftLog, storage: RaftStorage, onApplied: () => void) {
    this.onApplied = onApplied;
    this.log = log;
    this.storage = storage;
    this.visible = Math.min(log.commit, storage.readableEnd);
  }

  onCommit(): void {
    this.wake();
  }

  afterTurn(): void {
    this.wake();
  }

  /** Resolves when everything up to `index` can be followed here. */
  async reached(index: number): Promise<void> {
    while (index > this.visible) {
      if (this.stopped !== undefined) throw this.stopped;
      await this.moved();
    }
  }

  stop(error: VarlogError): void {
    this.stopped = error;
    this.wakeups.wake();
  }

  async *follow(from: number, signal?: AbortSignal): AsyncGenerator<Followed, void, undefined> {
    const forget = onAbort(signal, () => this.wakeups.wake());
    try {
      let next = Math.max(1, from);
      while (!signal?.aborted) {
        if (this.stopped !== undefined) throw this.stopped;
        if (next > this.visible) {
          await this.moved();
          continue;
        }
        const found = await this.read(next);
        if (found === undefined) continue;
        try {
          yield found;
        } finally {
          if (found.kind === 'snapshot') await found.close();
        }
        next = (found.kind === 'snapshot' ? found.position : found.through) + 1;
        if (next - 1 <= this.applied) continue;
        this.applied = next - 1;
        this.onApplied();
      }
    } finally {
      forget();
    }
  }

  /** What is committed from `from` on; undefined when the log changed meanwhile: look again. */
  private async read(from: number): Promise<Found | undefined> {
    const { visible } = this;
    if (from < this.storage.first) {
      const reader = await this.storage.snapshots.read();
      if (reader === undefined) return undefined;
      const { index: position } = reader.snapshot;
      const close = (): Promise<void> => reader.close();
      const state = { [Symbol.asyncIterator]: () => reader.chunks() };
      if (position >= from) return { kind: 'snapshot', position, state, close };
      await close();
      return undefined;
    }
    let batches: EntryBatch[];
    try {
      const read = this.storage.read(from, READ_BYTES);
      batches = read instanceof Promise ? await read : read;
    } catch (error) {
      if (VarlogError.is(error, 'TRIMMED')) return undefined;
      throw error;
    }
    const entries: LogEntry[] = [];
    let through = from - 1;
    for (const batch of batches) {
      const { index, count, payload } = batch;
      if (index !== through + 1 || index > visible) break;
      if (payload.length > 0 && !isConfigurationEntry(batch)) {
        const commands = decodeBatch({ count, bytes: payload });
        for (let i = 0; i < count && index + i <= visible; i++) {
          entries.push({ position: index + i, command: commands[i]! });
        }
      }
      through = Math.min(visible, index + count - 1);
    }
    if (through >= from) return { kind: 'entries', entries, through };
    // A snapshot is being installed: the next commit tells.
    await this.moved();
    return undefined;
  }

  /** Looks how far the log has come, once its writes were handed to the store; wakes those who wait. */
  private wake(): void {
    const visible = Math.min(this.log.commit, this.storage.readableEnd);
    if (visible <= this.visible) return;
    this.visible = visible;
    this.wakeups.wake();
  }

  private moved(): Promise<void> {
    return this.stopped === undefined ? this.wakeups.wait() : Promise.resolve();
  }
}
