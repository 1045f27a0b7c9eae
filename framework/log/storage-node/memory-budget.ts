import { CacheBudget } from '../../store/index.ts';

/** By default: see {@link MemoryLimits}. */
export const CACHE_BYTES = 128 * 1024 * 1024;
export const PENDING_BYTES = 256 * 1024 * 1024;
/** Payload of one log stream that waits to be ordered: one that is stuck leaves room for the others. */
const PENDING_OF_ONE_MAX = 64 * 1024 * 1024;

const FETCHED_BYTES = 64 * 1024 * 1024;

/** How much memory a storage node uses for what, in bytes, for all of its replicas together. */
export interface MemoryLimits {
  /** For the newest records. Default: 128 MiB. */
  cacheBytes?: number;
  /** Appends that wait to be ordered; more are refused. Default: 256 MiB. */
  pendingBytes?: number;
  /** What was fetched from other replicas and is not on disk yet; these wait beyond that. Default: 64 MiB. */
  fetchedBytes?: number;
}

/** Memory that all replicas of a storage node share, however many they are. */
export class MemoryBudget {
  /** For records at the tail, so that readers and backups need no disk. */
  readonly cache: CacheBudget;
  /** Held by appends that wait to be ordered. */
  pendingBytes = 0;
  private fetchedBytes = 0;
  private readonly pendingBytesMax: number;
  private readonly fetchedBytesMax: number;

  constructor(limits: MemoryLimits) {
    this.cache = new CacheBudget(limits.cacheBytes ?? CACHE_BYTES);
    this.pendingBytesMax = limits.pendingBytes ?? PENDING_BYTES;
    this.fetchedBytesMax = limits.fetchedBytes ?? FETCHED_BYTES;
  }

  /** Whether a log stream of which `waiting` bytes wait may take `bytes` more. */
  hasRoomFor(bytes: number, waiting: number): boolean {
    if (waiting + bytes > PENDING_OF_ONE_MAX) return false;
    // However large it is, one finds room in the end: how large it may be is another limit.
    return this.pendingBytes === 0 || this.pendingBytes + bytes <= this.pendingBytesMax;
  }

  /**
   * Bytes were fetched that are on disk once `written` settles. Returns what to wait for before more
   * is taken: nothing while there is room. So each replica gets on, however little room there is.
   */
  holdFetched(bytes: number, written: Promise<void>): Promise<void> | undefined {
    this.fetchedBytes += bytes;
    const release = (): void => {
      this.fetchedBytes -= bytes;
    };
    written.then(release, release);
    return this.fetchedBytes > this.fetchedBytesMax ? written : undefined;
  }
}
