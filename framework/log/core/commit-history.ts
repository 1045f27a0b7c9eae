import { assert, type Epoch, type Version } from '../../base/index.ts';

/** A range of one log stream that a cut has ordered: records `llsn`… have the GLSNs `glsn`…. */
export interface Commit {
  readonly logStreamId: number;
  readonly epoch: Epoch;
  /** Dense per log stream. */
  readonly version: Version;
  readonly llsn: number;
  readonly glsn: number;
  readonly count: number;
}

/** Commits that are packed together. */
const PIECE_COMMITS = 256;

/** Packed commits that follow each other. */
interface Piece {
  /** Version of the first one. */
  readonly version: Version;
  readonly count: number;
  readonly bytes: Uint8Array;
}

/** A history as it lies in a snapshot. Its bytes are shared, not copied: they never change. */
export interface HistorySnapshot {
  /** Version of the first commit that is kept. */
  readonly first: number;
  readonly pieces: readonly Uint8Array[];
  /** The commits that do not fill a piece yet. */
  readonly tail: Uint8Array;
}

/**
 * The last commits of one log stream, with dense versions. All but the newest few lie packed, in a few
 * bytes each: so a long history costs little memory, and nothing when a snapshot is taken.
 */
export class CommitHistory {
  private readonly logStreamId: number;
  private pieces: Piece[] = [];
  private tail: Commit[] = [];
  /** Everything below this version was forgotten. */
  private first = 1;

  constructor(logStreamId: number) {
    this.logStreamId = logStreamId;
  }

  /** How many commits are kept. */
  get length(): number {
    return this.end - this.first;
  }

  /** Version of the oldest commit that is kept; of the next one, when none is. */
  get firstVersion(): number {
    return this.first;
  }

  get last(): Commit | undefined {
    const last = this.tail.at(-1) ?? this.unpack(this.pieces.at(-1)).at(-1);
    return last === undefined || last.version < this.first ? undefined : last;
  }

  push(commit: Commit): void {
    if (this.length === 0) this.clear(commit.version);
    assert(commit.version === this.end, 'versions are dense');
    this.tail.push(commit);
    if (this.tail.length < PIECE_COMMITS) return;
    this.pieces.push(pieceOf(this.tail));
    this.tail = [];
  }

  /** Forgets the commits up to `version`. */
  forget(version: Version): void {
    if (version < this.first) return;
    this.first = Math.min(version + 1, this.end);
    const gone = this.pieces.findIndex((it) => it.version + it.count > this.first);
    if (gone !== 0) this.pieces.splice(0, gone === -1 ? this.pieces.length : gone);
    const inTail = this.tail.findIndex((it) => it.version >= this.first);
    if (inTail !== 0) this.tail.splice(0, inTail === -1 ? this.tail.length : inTail);
  }

  /** The commits from `version` on, oldest first, `limit` of them at the most. */
  from(version: Version, limit: number = Number.POSITIVE_INFINITY): Commit[] {
    const begin = Math.max(version, this.first);
    const found: Commit[] = [];
    const take = (commits: readonly Commit[]): void => {
      for (const it of commits) {
        if (it.version >= begin && found.length < limit) found.push(it);
      }
    };
    for (const piece of this.pieces) {
      if (piece.version + piece.count <= begin) continue;
      if (found.length >= limit) return found;
      take(this.unpack(piece));
    }
    take(this.tail);
    return found;
  }

  snapshot(): HistorySnapshot {
    return {
      first: this.first,
      pieces: this.pieces.map((it) => it.bytes),
      tail: pack(this.tail),
    };
  }

  static restore(logStreamId: number, { first, pieces, tail }: HistorySnapshot): CommitHistory {
    const history = new CommitHistory(logStreamId);
    history.first = first;
    history.pieces = pieces.map((bytes) => {
      const version = new PackedReader(bytes).next();
      return { version, count: PIECE_COMMITS, bytes };
    });
    history.tail = unpack(tail, logStreamId);
    return history;
  }

  /** Version of the next commit. */
  private get end(): number {
    const last = this.tail.at(-1);
    if (last !== undefined) return last.version + 1;
    const piece = this.pieces.at(-1);
    return piece === undefined ? this.first : piece.version + piece.count;
  }

  private clear(version: Version): void {
    this.pieces = [];
    this.tail = [];
    this.first = version;
  }

  private unpack(piece: Piece | undefined): Commit[] {
    return piece === undefined ? [] : unpack(piece.bytes, this.logStreamId);
  }
}

function pieceOf(commits: readonly Commit[]): Piece {
  return { version: commits[0]!.version, count: commits.length, bytes: pack(commits) };
}

/**
 * Commits that follow each other, as varints: version, LLSN, GLSN and epoch of the first one, then of
 * each how far its GLSN lies after the end of the one before it, how much its epoch grew, and its count.
 */
function pack(commits: readonly Commit[]): Uint8Array {
  const first = commits[0];
  if (first === undefined) return new Uint8Array();
  const bytes: number[] = [];
  for (const it of [first.version, first.llsn, first.glsn, first.epoch]) putVarint(bytes, it);
  let { glsn, epoch } = first;
  for (const commit of commits) {
    putVarint(bytes, commit.glsn - glsn);
    putVarint(bytes, commit.epoch - epoch);
    putVarint(bytes, commit.count);
    glsn = commit.glsn + commit.count;
    epoch = commit.epoch;
  }
  return Uint8Array.from(bytes);
}

function unpack(bytes: Uint8Array, logStreamId: number): Commit[] {
  const commits: Commit[] = [];
  if (bytes.length === 0) return commits;
  const reader = new PackedReader(bytes);
  let version = reader.next();
  let llsn = reader.next();
  let glsn = reader.next();
  let epoch = reader.next();
  while (!reader.isAtEnd) {
    glsn += reader.next();
    epoch += reader.next();
    const count = reader.next();
    commits.push({ logStreamId, epoch, version, llsn, glsn, count });
    version++;
    llsn += count;
    glsn += count;
  }
  return commits;
}

/** Seven bits a byte, the lowest first; by arithmetic, because positions have up to 53 bits. */
function putVarint(bytes: number[], value: number): void {
  assert(value >= 0, 'commits grow');
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) + 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
}

class PackedReader {
  private readonly bytes: Uint8Array;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  next(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.bytes[this.at++];
      assert(byte !== undefined, 'packed commits are whole');
      value += (byte % 0x80) * scale;
      if (byte < 0x80) return value;
    }
  }
}
