import { assert, formatUnknown, type VarlogError } from '../../base/index.ts';
import { type Frame, SegmentedLog, type SegmentedLogOptions } from '../../store/index.ts';
import type { Commit } from '../core/index.ts';

/** What is looked for among older commits is found between two of these, which are remembered then. */
const SPARSE_STEP = 256;
/** Of one replica, in objects: with many replicas, more of them would keep the garbage collector busy. */
const RECENT_MAX = 1_024;
/** So many of the newest are read when it is opened: the others when they are asked for. */
const RECENT_AT_OPEN = SPARSE_STEP;
const PAYLOAD_BYTES = 24;
/** The last segment is all that is checked when it is opened. */
const SEGMENT_BYTES = 1024 * 1024;
/** The newest commits are kept decoded. */
const TAIL_CACHE_BYTES = 64 * 1024;
const RANGE_MAX = 1_024;

/**
 * The commits of one replica: which records have which GLSNs. On disk one entry a commit, synced
 * now and then, because a lost one can be asked for again; in memory the newest ones, and of the
 * older ones those that a search came by. So neither its size nor the time to open it grows with the
 * number of records.
 */
export class CommitTable {
  private readonly log: SegmentedLog;
  private readonly logStreamId: number;
  /** For people. */
  private readonly directory: string;
  /** The newest commits, contiguous up to the last. */
  private recent: Commit[] = [];
  /** By version: of each 256th those that a search came by. */
  private readonly sparse = new Map<number, Commit>();

  private constructor(log: SegmentedLog, logStreamId: number, directory: string) {
    this.log = log;
    this.logStreamId = logStreamId;
    this.directory = directory;
  }

  static async open(
    options: Pick<
      SegmentedLogOptions,
      'disk' | 'clock' | 'directory' | 'label' | 'onFailure' | 'onFull'
    > & { logStreamId: number },
  ): Promise<CommitTable> {
    const log = await SegmentedLog.open({
      ...options,
      segmentBytes: SEGMENT_BYTES,
      staysOpen: false,
      tailCacheBytes: TAIL_CACHE_BYTES,
    });
    const table = new CommitTable(log, options.logStreamId, options.disk.pathOf(options.directory));
    try {
      await table.readRecent();
      return table;
    } catch (error) {
      await log.close();
      throw error;
    }
  }

  /** The last commit; `undefined` when there is none. */
  get last(): Commit | undefined {
    return this.recent.at(-1);
  }

  get version(): number {
    return this.log.end;
  }

  /** Bytes on the disk. */
  get bytes(): number {
    return this.log.bytes;
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

  /** As {@link SegmentedLog.full}. */
  get full(): VarlogError | undefined {
    return this.log.full;
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
    const [frame] = await this.read(version, 1);
    assert(frame !== undefined && frame.position === version, `commit ${version} is in the table`);
    return this.decode(frame);
  }

  /** The commits from version `from` to `through`, about a thousand at the most; all of them must be held. */
  async range(from: number, through: number): Promise<Commit[]> {
    if (this.recentAt(from) !== undefined) {
      const at = from - this.recent[0]!.version;
      return this.recent.slice(at, Math.min(at + RANGE_MAX, through - this.recent[0]!.version + 1));
    }
    const frames = await this.read(from, RANGE_MAX * PAYLOAD_BYTES);
    return frames.filter((it) => it.position <= through).map((it) => this.decode(it));
  }

  /** The commit that holds record `llsn`; `undefined` when it is not committed or was trimmed. */
  findByLlsn(llsn: number): Promise<Commit | undefined> {
    return this.find((commit) => commit.llsn + commit.count - 1 >= llsn);
  }

  /** The first commit with a record at or above `glsn`. */
  findByGlsn(glsn: number): Promise<Commit | undefined> {
    return this.find((commit) => commit.glsn + commit.count - 1 >= glsn);
  }

  /** Removes everything after `version`. */
  async truncate(version: number): Promise<void> {
    await this.log.truncateTail(version);
    while ((this.last?.version ?? 0) > version) this.recent.pop();
    for (const it of this.sparse.keys()) if (it > version) this.sparse.delete(it);
    if (this.recent.length === 0) await this.readRecent();
  }

  /** Forgets commits below `version`; the last one always stays, because positions count on from it. */
  async trim(version: number): Promise<void> {
    const first = Math.min(version, this.version);
    if (first <= this.log.first) return;
    // What stays must be on disk before what it stands for is gone: a power loss would leave neither.
    if (first > this.log.durableEnd) await this.log.flush();
    await this.log.trimHead(first);
    for (const it of this.sparse.keys()) if (it < first) this.sparse.delete(it);
  }

  /** Begins anew: the next commit is `version`. */
  async reset(version: number): Promise<void> {
    await this.log.reset(version);
    this.recent = [];
    this.sparse.clear();
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
    // Among the older ones: between two that are a step apart.
    const { first } = this.log;
    const steps = Math.floor(recent[0]!.version / SPARSE_STEP) - Math.floor(first / SPARSE_STEP);
    const step = (i: number): number => (Math.floor(first / SPARSE_STEP) + i) * SPARSE_STEP;
    let low = 0;
    let high = steps + 1;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (reached(await this.sparseAt(step(middle)))) high = middle;
      else low = middle;
    }
    let version = Math.max(this.log.first, step(low));
    while (version <= this.log.end) {
      for (const commit of await this.range(version, this.log.end)) {
        if (reached(commit)) return commit;
        version = commit.version + 1;
      }
    }
    return undefined;
  }

  private async read(from: number, bytesMax: number): Promise<Frame[]> {
    const frames = await this.log.read(from, bytesMax);
    // A log that failed gives only what is durable, and nothing for the rest: who looks for that must not look for ever.
    if (frames.length === 0 && from <= this.log.end) await this.log.flushed(from);
    return frames;
  }

  private async sparseAt(version: number): Promise<Commit> {
    const commit = this.sparse.get(version) ?? (await this.at(version));
    this.sparse.set(version, commit);
    return commit;
  }

  private async readRecent(): Promise<void> {
    const { first, end } = this.log;
    for (let version = Math.max(first, end - RECENT_AT_OPEN + 1); version <= end; ) {
      for (const it of await this.range(version, end)) {
        this.remember(it);
        version = it.version + 1;
      }
    }
  }

  private remember(commit: Commit): void {
    this.recent.push(commit);
    if (this.recent.length > 2 * RECENT_MAX) this.recent = this.recent.slice(RECENT_MAX);
  }

  private decode({ position, epoch, payload }: Frame): Commit {
    if (payload.length !== PAYLOAD_BYTES) {
      const what = `commit ${position} in ${this.directory}`;
      const [found, reads] = [`${payload.length} bytes`, `commits of ${PAYLOAD_BYTES} bytes`];
      throw formatUnknown({ what, path: this.directory, found, reads });
    }
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
