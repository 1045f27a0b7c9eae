import { CacheBudget } from '../../store/index.ts';

/** By default: see StorageNodeOptions. */
export const CACHE_BYTES = 128 * 1024 * 1024;
export const PENDING_BYTES = 256 * 1024 * 1024;
/** Payload of one log stream that waits to be ordered: one that is stuck leaves room for the others. */
const PENDING_OF_ONE_MAX = 64 * 1024 * 1024;

/** Memory that all replicas of a storage node share, however many they are. */
export class MemoryBudget {
  /** For records at the tail, so that readers and backups need no disk. */
  readonly cache: CacheBudget;
  /** Held by appends that wait to be ordered. */
  pendingBytes = 0;
  private readonly pendingBytesMax: number;

  constructor(limits: { cacheBytes: number; pendingBytes: number }) {
    this.cache = new CacheBudget(limits.cacheBytes);
    this.pendingBytesMax = limits.pendingBytes;
  }

  /** Whether a log stream of which `waiting` bytes wait may take `bytes` more. */
  hasRoomFor(bytes: number, waiting: number): boolean {
    if (waiting + bytes > PENDING_OF_ONE_MAX) return false;
    return this.pendingBytes + bytes <= this.pendingBytesMax;
  }
}
