import type { MemoryLog } from 'varlog/testing';
import { type WalTopic, walCodec } from './wal-topic.ts';

/** A log in memory as a write-ahead log. */
export function memoryTopic(log: MemoryLog): WalTopic {
  return {
    records: log.records({ codec: walCodec }),
    log,
    trim: (position) => log.compact(position, new Uint8Array()),
  };
}
