import type { Entry } from 'varlog/log';
import type { MemoryLog } from 'varlog/testing';
import { type WalRecord, type WalTopic, walCodec } from './wal-topic.ts';

/** A log in memory as a write-ahead log. */
export function memoryTopic(log: MemoryLog): WalTopic {
  return {
    records: log.records({ codec: walCodec }),
    log,
    trim: (position) => log.compact(position, new Uint8Array()),
  };
}

/** The same records, for a topic that changes one of the methods. */
export function bound(records: WalTopic['records']): WalTopic['records'] {
  return {
    append: (value, options) => records.append(value, options),
    fence: (options) => records.fence(options),
    read: (options) => records.read(options),
    tail: (options) => records.tail(options),
  };
}

/** Lets a follower have the log in pieces: what it is not let to read may be trimmed meanwhile. */
export class Gate {
  isOpen = true;
  private pass: () => void = () => {};

  open(): void {
    this.isOpen = true;
    this.pass();
  }

  async *slowed(entries: AsyncIterable<Entry<WalRecord>>, signal: AbortSignal | undefined) {
    const iterator = entries[Symbol.asyncIterator]();
    for (;;) {
      while (!this.isOpen && signal?.aborted !== true)
        await new Promise<void>((resolve) => {
          this.pass = resolve;
          signal?.addEventListener('abort', () => resolve(), { once: true });
        });
      const { value, done } = await iterator.next();
      if (done === true) return;
      yield value;
    }
  }
}
