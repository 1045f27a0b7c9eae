import { SUBSCRIPTION_MESSAGE_BYTES, VarlogError } from '../../base/index.ts';
import { type Frame, frameEnd } from '../../store/index.ts';
import type { Commit } from '../core/index.ts';
import type { CommitsAhead } from './commits-ahead.ts';
import type { LogStreamReplica } from './replica.ts';
import { assertNotTrimmed, assertServes } from './serve.ts';

/** A stored batch with the GLSN of its first record. */
export interface CommittedBatch {
  readonly frame: Frame;
  readonly glsn: number;
}

/** Reads the committed batches of one replica in order, and remembers how far it has come. */
export class CommittedReader {
  private readonly replica: LogStreamReplica;
  private nextLlsn: number;
  private readonly commits: CommitsAhead;
  private commit: Commit | undefined;

  private constructor(replica: LogStreamReplica, nextLlsn: number) {
    this.replica = replica;
    this.commits = replica.commitsAhead();
    this.nextLlsn = nextLlsn;
  }

  /** Begins at the first record at or above GLSN `glsn`. Throws `TRIMMED` when that may be gone. */
  static async atGlsn(replica: LogStreamReplica, glsn: number): Promise<CommittedReader> {
    assertServes(replica);
    assertNotTrimmed(replica, glsn);
    // Taken before the search: what is committed during it may be what is looked for.
    const { committedEnd } = replica.core;
    const commit = await replica.reading(() => replica.storage.commits.findByGlsn(glsn));
    if (commit === undefined) return new CommittedReader(replica, committedEnd + 1);
    return new CommittedReader(replica, commit.llsn + Math.max(0, glsn - commit.glsn));
  }

  /** Begins at record `llsn`. Throws `TRIMMED` when it is gone. */
  static atLlsn(replica: LogStreamReplica, llsn: number): CommittedReader {
    assertServes(replica);
    const { first } = replica.source;
    if (llsn < first) throw trimmed(replica, `LLSN ${llsn}`, first);
    return new CommittedReader(replica, llsn);
  }

  /**
   * The next batches, about as much as one message carries; empty when there are none yet. Throws
   * `UNAVAILABLE` when the replica failed, also meanwhile: empty then would mean complete.
   */
  async next(): Promise<CommittedBatch[]> {
    assertServes(this.replica);
    const batches = await this.read();
    assertServes(this.replica);
    return batches;
  }

  private async read(): Promise<CommittedBatch[]> {
    const { source } = this.replica;
    const { committedEnd } = this.replica.core;
    if (this.nextLlsn > committedEnd) return [];
    if (this.nextLlsn < source.first) {
      throw trimmed(this.replica, `LLSN ${this.nextLlsn}`, source.first);
    }
    const read = source.read(this.nextLlsn, SUBSCRIPTION_MESSAGE_BYTES);
    const frames = Array.isArray(read) ? read : await read;
    const batches: CommittedBatch[] = [];
    for (const frame of frames) {
      if (frameEnd(frame) > committedEnd) break;
      const commit = this.sameCommit(frame.position) ?? (await this.commitOf(frame.position));
      batches.push({ frame, glsn: commit.glsn + (frame.position - commit.llsn) });
      this.nextLlsn = frameEnd(frame) + 1;
    }
    return batches;
  }

  private sameCommit(llsn: number): Commit | undefined {
    const { commit } = this;
    const holds = commit !== undefined && commit.llsn <= llsn && llsn < commit.llsn + commit.count;
    return holds ? commit : undefined;
  }

  private async commitOf(llsn: number): Promise<Commit> {
    let commit = this.commit;
    if (commit === undefined || commit.llsn > llsn) {
      const { commits } = this.replica.storage;
      commit = await this.replica.reading(() => commits.findByLlsn(llsn));
    }
    while (commit !== undefined && commit.llsn + commit.count <= llsn) {
      const next: Commit | Promise<Commit> = this.commits.at(commit.version + 1);
      commit = next instanceof Promise ? await next : next;
    }
    if (commit === undefined) throw trimmed(this.replica, `LLSN ${llsn}`, llsn);
    this.commit = commit;
    return commit;
  }
}

function trimmed(replica: LogStreamReplica, wanted: string, first: number): VarlogError {
  return new VarlogError('TRIMMED', {
    what: `log stream: logstream: trimmed: ${wanted} of log stream ${replica.logStreamId} was removed; the first one left is LLSN ${first}`,
    next: 'begin there, or from a snapshot',
    details: { firstLlsn: first, firstAvailable: replica.head.trimmed + 1 },
  });
}
