import type { Commit } from '../core/index.ts';
import type { CommitTable } from './commit-table.ts';

/** Commits for somebody who goes through them in order: those on disk are read many at a time. */
export class CommitsAhead {
  private readonly commits: CommitTable;
  private readonly fromDisk: <T>(read: () => T | Promise<T>) => Promise<T>;
  /** Contiguous. Commits are final, so that these stay true. */
  private read: readonly Commit[] = [];

  /** `fromDisk` has the disk read when its turn comes. */
  constructor(commits: CommitTable, fromDisk: <T>(read: () => T | Promise<T>) => Promise<T>) {
    this.commits = commits;
    this.fromDisk = fromDisk;
  }

  /** The commit of that version, which the table must hold. A promise where the disk is asked. */
  at(version: number): Commit | Promise<Commit> {
    const recent = this.commits.recentAt(version);
    return recent ?? this.read[version - (this.read[0]?.version ?? 0)] ?? this.readFrom(version);
  }

  private async readFrom(version: number): Promise<Commit> {
    const { commits } = this;
    this.read = await this.fromDisk(() => commits.range(version, commits.version));
    return this.read[0]!;
  }
}
