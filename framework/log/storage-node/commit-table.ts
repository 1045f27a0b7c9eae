import { assert, type Disk, type VarlogError } from '../../base/index.ts';
import { type Frame, SegmentedLog } from '../../store/index.ts';
import type { Commit } from '../core/index.ts';

/** Every so many commits one is kept in memory, to find the others from. */
const SPARSE_STEP = 256;
const RECENT_MAX = 4_096;
const PAYLOAD_BYTES = 24;
const SEGMENT_BYTES = 8 * 1024 * 1024;
/** The newest commits are kept decoded. */
const TAIL_CACHE_BYTES = 64 * 1024;
const READ_BYTES = SPARSE_STEP * PAYLOAD_BYTES;

/**
 * The commits of one replica: which records have which GLSNs. On disk one entry a commit, synced
 * now and then, because a lost one can be asked for again; in memory the newest ones and every
 * 256th, so that its size does not grow with the number of records.
 */
export class CommitTable {
  private readonly log: SegmentedLog;
  private readonly logStreamId: number;
  /** The newest commits, contiguous up to the last. */
  private recent: Commit[] = [];
  private readonly sparse: Commit[] = [];

  private constructor(log: SegmentedLog, logStreamId: number) {
    this.log = log;
    this.logStreamId = logStreamId;
  }

  static async open(
    disk: Disk,
    directory: string,
    identity: string,
    logStreamId: number,
    onFailure: (error: VarlogError) => void,
  ): Promise<CommitTable> {
    const log = await SegmentedLog.open({
      disk,
      directory,
      identity,
      segmentBytes: SEGMENT_BYTES,
      tailCacheBytes: TAIL_CACHE_BYTES,
      onFailure,
    });
    const table = new CommitTable(log, logStreamId);
    for (let version = log.first; version <= log.end; ) {
      for (const frame of await log.read(version, 1024 * 1024)) {
        table.remember(table.decode(frame));
        version = frame.position + 1;
      }
    }
    return table;
  }

  /** The last commit; `undefined` when there is none. */
  get last(): Commit | undefined {
    return this.recent.at(-1);
  }

  get version(): number {
    return this.log.end;
  }

  /** The last commit that is on disk. */
  get persistedVersion(): number {
    return this.log.durableEnd;
  }

  /** Adds the next commit; it becomes durable with the next `flush`. */
  append(commit: Commit): void {
    const payload = new Uint8Array(PAYLOAD_BYTES);
    const view = new DataView(payload.buffer);
    view.setFloat64(0, commit.llsn);
    view.setFloat64(8, commit.glsn);
    view.setFloat64(16, commit.count);
    const frame = { position: commit.version, count: 1, epoch: commit.epoch, payload };
    this.log.append([frame], { sync: false });
    this.remember(commit);
  }

  flush(): Promise<void> {
    return this.log.flush();
  }

  /** The commit of that version, if it is one of the newest: readers at the tail need no disk. */
  recentAt(version: number): Commit | undefined {
    return this.recent[version - (this.recent[0]?.version ?? 0)];
  }

  /** The commit of that version. Must be one that the table holds. */
  async at(version: number): Promise<Commit> {
    const recent = this.recentAt(version);
    if (recent !== undefined) return recent;
    const [frame] = await this.log.read(version, 1);
    assert(frame !== undefined && frame.position === version, `commit ${version} is held`);
    return this.decode(frame);
  }

  /** The commit that holds record `llsn`; `undefined` when it is not committed or was trimmed. */
  findByLlsn(llsn: number): Promise<Commit | undefined> {
    return this.find((commit) => commit.llsn + commit.count - 1 >= llsn);
  }

  /** The first commit with a record at or above `glsn`. */
  findByGlsn(glsn: number): Promise<Commit | undefined> {
    return this.find((commit) => commit.glsn + commit.count - 1 >= glsn);
  }

  /** Forgets everything behind `version`. */
  async cut(version: number): Promise<void> {
    await this.log.truncateTail(version);
    while ((this.last?.version ?? 0) > version) this.recent.pop();
    while ((this.sparse.at(-1)?.version ?? 0) > version) this.sparse.pop();
    if (this.recent.length === 0 && version >= this.log.first)
      this.remember(await this.at(version));
  }

  /** Forgets commits below `version`; the last one always stays, because positions count on from it. */
  async trim(version: number): Promise<void> {
    const first = Math.min(version, this.version);
    if (first <= this.log.first) return;
    // What stays must be on disk before what it stands for is gone: a power loss would leave neither.
    await this.log.flush();
    await this.log.trimHead(first);
    while (this.sparse.length > 0 && this.sparse[0]!.version < first) this.sparse.shift();
  }

  /** Begins anew: the next commit is `version`. */
  async reset(version: number): Promise<void> {
    await this.log.reset(version);
    this.recent = [];
    this.sparse.length = 0;
  }

  get firstVersion(): number {
    return this.log.first;
  }

  close(): Promise<void> {
    return this.log.close();
  }

  /** The first commit for which `reached` holds; it must hold for all later ones. */
  private async find(reached: (commit: Commit) => boolean): Promise<Commit | undefined> {
    if (this.last === undefined || !reached(this.last)) return undefined;
    const { recent } = this;
    if (!reached(recent[0]!)) return recent[firstTrue(recent, reached)];
    // Among the older ones: from the last remembered one that does not reach that far.
    const index = firstTrue(this.sparse, reached);
    let version = Math.max(this.log.first, this.sparse[index - 1]?.version ?? 0);
    while (version <= this.log.end) {
      for (const frame of await this.log.read(version, READ_BYTES)) {
        const commit = this.decode(frame);
        if (reached(commit)) return commit;
        version = frame.position + 1;
      }
    }
    return undefined;
  }

  private remember(commit: Commit): void {
    this.recent.push(commit);
    if (this.recent.length > 2 * RECENT_MAX) this.recent = this.recent.slice(RECENT_MAX);
    if (commit.version % SPARSE_STEP === 0) this.sparse.push(commit);
  }

  private decode({ position, epoch, payload }: Frame): Commit {
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    return {
      logStreamId: this.logStreamId,
      epoch,
      version: position,
      llsn: view.getFloat64(0),
      glsn: view.getFloat64(8),
      count: view.getFloat64(16),
    };
  }
}

function firstTrue<T>(items: readonly T[], holds: (item: T) => boolean): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(items[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}
