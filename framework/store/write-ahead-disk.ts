import {
  type Clock,
  type Disk,
  type DiskFile,
  type Logger,
  reasonOf,
  VarlogError,
} from '../base/index.ts';
import { crc32c } from './crc32c.ts';
import { DiskOver } from './disk-over.ts';
import { bytesOf, type WriteEntry } from './write-ahead-block.ts';
import { WriteAheadFile } from './write-ahead-file.ts';
import { WriteAheadLog } from './write-ahead-log.ts';
import { replayWriteAhead } from './write-ahead-recovery.ts';

const NAME = 'write-ahead';
/** Larger writes gain little from being written with others. */
const WRITE_BYTES_MAX = 16 * 1024;
const TOGETHER_MIN = 4;
const FILE_BYTES = 16 * 1024 * 1024;
/** Where there was no room for the write-ahead log, it is tried again after so long. */
const AGAIN_MS = 60_000;

/** Whether a folder has a write-ahead log without which its files must not be read. It MUST be known before any of them is. */
export interface WriteAheadMark {
  readonly hasWriteAhead: boolean;
  /** Durable when it resolves. */
  setHasWriteAhead(has: boolean): Promise<void>;
}

export interface WriteAheadOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The files in this folder, at any depth. */
  readonly folder: string;
  /** Whose folder it is. */
  readonly label: string;
  readonly mark: WriteAheadMark;
  /** Hears that a file cannot be made durable, maybe again and again. Its bytes stay in the log. */
  readonly onFailure: (path: string, error: unknown) => void;
  /** With so many writes at a time, they go ahead. Default: 4. */
  readonly togetherMin?: number;
  /** Of each of the two files of the write-ahead log. Default: 16 MiB. */
  readonly fileBytes?: number;
}

/**
 * A disk on which small durable writes to many files are durable with one write to a write-ahead log, and in their own files
 * later. One at a time is written in its own place, as ever: going ahead would cost it twice as much.
 *
 * Ahead goes what lies within its file, so that there is room for it, and only from the end of what went ahead before: what
 * is written again after a crash never takes the place of something newer. Whatever else touches a file first brings there
 * what is ahead, and notes that nothing of it is written again.
 */
export class WriteAheadDisk extends DiskOver {
  private readonly options: WriteAheadOptions;
  private readonly directory: string;
  private readonly files = new Map<string, WriteAheadFile>();
  private readonly togetherMin: number;
  private underWay = 0;
  private log: WriteAheadLog | undefined;
  private making: Promise<void> | undefined;
  private makeAgainAt = 0;
  private closed = false;

  private constructor(options: WriteAheadOptions) {
    super(options.disk);
    this.options = options;
    this.directory = `${options.folder}/${NAME}`;
    this.togetherMin = options.togetherMin ?? TOGETHER_MIN;
  }

  /**
   * Opens the folder: what a crash left in its write-ahead log is in the files when this resolves. Throws `CORRUPT` where the
   * write-ahead log is damaged or missing.
   */
  static async open(options: WriteAheadOptions): Promise<WriteAheadDisk> {
    const opened = new WriteAheadDisk(options);
    const { disk, folder, logger, mark } = options;
    if (mark.hasWriteAhead) {
      const { directory, tag } = opened;
      const missing = await replayWriteAhead({ disk, folder, directory, tag });
      for (const path of missing) {
        const file = disk.pathOf(path);
        logger.log('warn', 'a file is missing to which something was written', { file });
      }
      await mark.setHasWriteAhead(false);
    }
    // Not needed any more, or not made to the end.
    await disk.remove(opened.directory);
    return opened;
  }

  /**
   * Brings everything to its own files, durably, and removes the write-ahead log. To be called when nothing else is under way. Where
   * that fails, it is done when the folder is opened the next time.
   */
  async close(): Promise<void> {
    this.closed = true;
    await this.making;
    const { log } = this;
    this.log = undefined;
    try {
      await log?.close();
      if (log === undefined) return;
      await this.options.mark.setHasWriteAhead(false);
      await this.disk.remove(this.directory);
    } catch (error) {
      this.notSettled(error);
    }
  }

  /** What is to be in the folder while this disk is open. */
  get holds(): readonly string[] {
    return this.log === undefined ? [] : [NAME];
  }

  override async open(path: string, mode: Parameters<Disk['open']>[1]): Promise<DiskFile> {
    if (mode === 'create') await this.settle(path);
    const file = await this.disk.open(path, mode);
    /** Known once it matters. */
    let size: number | undefined;
    const writeDurably = async (offset: number, chunks: readonly Uint8Array[]): Promise<void> => {
      const end = offset + bytesOf(chunks);
      this.underWay++;
      try {
        if (this.mayGoAhead(path, end - offset)) {
          size ??= await file.size();
          if (end <= size && this.goesBehind(path, offset)) {
            if (await this.writeAhead(path, file, offset, chunks)) return;
          }
        }
        await this.settleBehind(path, offset);
        await file.writeDurably(offset, chunks);
        if (size !== undefined) size = Math.max(size, end);
      } finally {
        this.underWay--;
      }
    };
    return {
      read: async (offset, length) => {
        const ahead = this.files.get(path);
        if (ahead?.isAhead(offset, length)) await ahead.bring();
        return file.read(offset, length);
      },
      write: async (offset, chunks) => {
        await this.settleBehind(path, offset);
        await file.write(offset, chunks);
      },
      writeDurably,
      truncate: async (bytes) => {
        await this.settle(path);
        size = undefined;
        await file.truncate(bytes);
      },
      sync: () => file.sync(),
      size: () => file.size(),
      close: () => this.files.get(path)?.close(file) ?? file.close(),
    };
  }

  override async rename(from: string, to: string): Promise<void> {
    await Promise.all([this.letGo(from), this.letGo(to)]);
    await this.disk.rename(from, to);
  }

  override async remove(path: string): Promise<void> {
    await this.letGo(path);
    await this.disk.remove(path);
  }

  private get tag(): number {
    return crc32c(new TextEncoder().encode(this.options.label));
  }

  /** Whether to write ahead is worth it now, and possible. Has the write-ahead log made where there is none. */
  private mayGoAhead(path: string, bytes: number): boolean {
    const { log, togetherMin } = this;
    if (bytes > WRITE_BYTES_MAX || !path.startsWith(`${this.options.folder}/`)) return false;
    if (Math.max(this.underWay, log?.together ?? 0) < togetherMin) return false;
    if (log !== undefined) return true;
    if (!this.closed && this.options.clock.now() >= this.makeAgainAt) this.making ??= this.make();
    return false;
  }

  /** Whether this lies behind all that went ahead of the file. */
  private goesBehind(path: string, offset: number): boolean {
    const file = this.files.get(path);
    return file === undefined || offset >= file.end;
  }

  /** Whether that was possible: the log may have no room, and the disk none for what it should have. */
  private async writeAhead(
    path: string,
    writer: DiskFile,
    offset: number,
    chunks: readonly Uint8Array[],
  ): Promise<boolean> {
    const { log } = this;
    const file = this.files.get(path) ?? this.fileAt(path);
    const entry: WriteEntry = { kind: 'write', name: file.name, offset, chunks };
    if (!log?.hasRoomFor(entry)) return false;
    this.files.set(path, file);
    try {
      file.note(offset, await log.write(file, entry), writer);
      return true;
    } catch (error) {
      if (VarlogError.is(error, 'DISK_FULL')) return false;
      throw error;
    }
  }

  private fileAt(path: string): WriteAheadFile {
    const name = new TextEncoder().encode(path.slice(this.options.folder.length + 1));
    const file = new WriteAheadFile(
      this.disk,
      { path, name },
      {
        freed: () => {
          if (this.files.get(path) === file) this.files.delete(path);
        },
        failed: (error) => this.options.onFailure(path, error),
      },
    );
    return file;
  }

  /** Before something is written where something went ahead. */
  private async settleBehind(path: string, offset: number): Promise<void> {
    const file = this.files.get(path);
    if (file !== undefined && offset < file.end) await this.settle(path);
  }

  /** Before a file is written in another way than that something is added to it. */
  private async settle(path: string): Promise<void> {
    const file = this.files.get(path);
    if (file === undefined) return;
    await file.settle();
    await this.forget(file);
  }

  /** Before a file, or all in a folder, is moved away, replaced or removed. Of one that has failed, nothing is to be kept. */
  private async letGo(path: string): Promise<void> {
    if (this.files.size === 0) return;
    const folder = `${path}/`;
    const all = [...this.files.values()].filter(
      (it) => it.path === path || it.path.startsWith(folder),
    );
    await Promise.all(
      all.map(async (it) => {
        if (!it.hasFailed) await it.settle();
        await this.forget(it);
      }),
    );
  }

  private async forget(file: WriteAheadFile): Promise<void> {
    if (this.log?.has(file)) await this.log.forget(file);
    await file.forget();
    if (this.files.get(file.path) === file) this.files.delete(file.path);
  }

  private async make(): Promise<void> {
    const { disk, clock, logger, mark, fileBytes = FILE_BYTES } = this.options;
    const { directory, tag } = this;
    const onFailure = (error: unknown): void => this.notSettled(error);
    let made: WriteAheadLog | undefined;
    try {
      made = await WriteAheadLog.make({ disk, clock, directory, tag, fileBytes, onFailure });
      await mark.setHasWriteAhead(true);
      this.log = made;
    } catch (error) {
      logger.log('warn', 'no write-ahead log can be made', { why: reasonOf(error) });
      await made?.close();
      // Where the mark may be durable, the log must stay, empty as it is.
      const isMarked = made !== undefined && !VarlogError.is(error, 'DISK_FULL');
      this.makeAgainAt = isMarked ? Number.POSITIVE_INFINITY : clock.now() + AGAIN_MS;
      if (made !== undefined && !isMarked) await disk.remove(directory).catch(() => {});
    }
    this.making = undefined;
  }

  private notSettled(error: unknown): void {
    const what = 'what is durable in the write-ahead log cannot be brought to its files';
    this.options.logger.log('error', what, { why: reasonOf(error) });
  }
}
