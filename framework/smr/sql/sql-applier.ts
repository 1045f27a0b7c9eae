import type { DataSource, EntityManager } from 'typeorm';
import type { Codec, LogEntry } from '../../base/index.ts';
import { EnvelopeReader } from '../envelope.ts';
import { LogContext } from '../log-context.ts';
import { type SessionLimits, SessionTable } from '../session-table.ts';
import type { ApplierTables, Progress } from './applier-tables.ts';
import type { Dialect } from './dialect.ts';
import type { SqlStateMachine } from './sql-state-machine.ts';
import { applyGuarded } from './statement-guard.ts';

/** What one transaction decided. `reloaded`: the database was ahead of, or behind, what was in memory. */
export interface Batch<Command, Result> {
  readonly decided: readonly Decision<Command, Result>[];
  readonly reloaded: boolean;
}

export type Decision<Command, Result> =
  | {
      readonly verdict: 'fresh';
      readonly session: number;
      readonly sequence: number;
      readonly position: number;
      readonly time: number;
      readonly command: Command;
      readonly result: Result;
    }
  | {
      readonly verdict: 'repeated';
      readonly session: number;
      readonly sequence: number;
      readonly result: Result;
    }
  | { readonly verdict: 'expired'; readonly session: number; readonly sequence: number };

export interface SqlApplierParts<Command, Result> {
  readonly machine: SqlStateMachine<Command, Result>;
  readonly dataSource: DataSource;
  readonly dialect: Dialect;
  readonly tables: ApplierTables;
  readonly command: Codec<Command>;
  readonly result: Codec<Result>;
  readonly sessions: SessionLimits;
}

/**
 * Applies entries to a database. Effects, position, time and sessions change in one transaction, so
 * that a crash at any moment leaves all of them or none, and what was applied is never applied again.
 */
export class SqlApplier<Command, Result> {
  private readonly parts: SqlApplierParts<Command, Result>;
  readonly sessions: SessionTable<Result>;
  private readonly touched = new Set<number>();
  private envelope = new EnvelopeReader(new Uint8Array(8));
  /** The log's time. */
  private time = 0;
  private owner = 0;
  /** As committed; `undefined` when memory and database may differ. */
  private stored: number | undefined;
  private applying = 0;
  /** Records of others that were passed over, as committed. */
  foreign = 0;
  private passed = 0;

  constructor(parts: SqlApplierParts<Command, Result>) {
    this.parts = parts;
    this.sessions = new SessionTable(parts.sessions, parts.result, (id) => this.touched.add(id));
  }

  /** Position of the entry at work, or of the last one. */
  get at(): number {
    return this.applying;
  }

  /**
   * Begins as the applier with this number, for the commands that carry this tag. Resolves with the
   * position of the database.
   */
  async open(owner: number, tag: Uint8Array): Promise<number> {
    const { dataSource, tables } = this.parts;
    this.owner = owner;
    this.envelope = new EnvelopeReader(tag);
    this.applying = await dataSource.transaction(async (manager) => {
      const progress = await tables.lock(manager, owner);
      await this.load(manager, progress);
      return progress.position;
    });
    this.stored = this.applying;
    return this.applying;
  }

  /**
   * Applies the entries that the database does not have yet. When it rejects, the transaction was
   * rolled back, or nobody knows: the next call finds out, and skips what was committed.
   */
  async apply(entries: readonly LogEntry[]): Promise<Batch<Command, Result>> {
    let reloaded = false;
    let decided: Decision<Command, Result>[] = [];
    const before = this.stored;
    this.stored = undefined;
    this.touched.clear();
    this.passed = 0;
    this.applying = entries.at(-1)?.position ?? this.applying;
    if (before === undefined) await this.parts.dialect.reset(this.parts.dataSource);
    const stored = await this.parts.dataSource.transaction(async (manager) => {
      const progress = await this.parts.tables.lock(manager, this.owner);
      const { position } = progress;
      if (before !== position) {
        await this.load(manager, progress);
        reloaded = true;
      }
      const missing = entries.filter((entry) => entry.position > position);
      decided = await this.applyAll(missing, manager);
      const through = missing.at(-1)?.position ?? position;
      await this.save(manager, through);
      this.applying = through;
      return through;
    });
    this.stored = stored;
    this.foreign += this.passed;
    return { decided, reloaded };
  }

  private async load(manager: EntityManager, { time }: Progress): Promise<void> {
    this.sessions.restore(await this.parts.tables.sessions(manager));
    this.touched.clear();
    this.time = time;
  }

  private async save(manager: EntityManager, position: number): Promise<void> {
    const { tables } = this.parts;
    for (const id of this.touched) {
      const session = this.sessions.encodeOne(id);
      if (session === undefined) await tables.dropSession(manager, id);
      else await tables.saveSession(manager, session);
    }
    await tables.advance(manager, { position, time: this.time });
  }

  private async applyAll(
    entries: readonly LogEntry[],
    manager: EntityManager,
  ): Promise<Decision<Command, Result>[]> {
    const decided: Decision<Command, Result>[] = [];
    for (const entry of entries) {
      this.applying = entry.position;
      const decision = await this.applyOne(entry, manager);
      if (decision !== undefined) decided.push(decision);
    }
    return decided;
  }

  private async applyOne(
    { position, command: bytes }: LogEntry,
    manager: EntityManager,
  ): Promise<Decision<Command, Result> | undefined> {
    const { envelope, sessions } = this;
    envelope.read(bytes, position);
    if (envelope.kind === 'foreign') {
      this.passed++;
      return undefined;
    }
    // A proposer's clock may lag behind; the log's time does not.
    this.time = Math.max(this.time, envelope.time);
    const { time } = this;
    if (envelope.kind === 'open') {
      sessions.open(position, time);
      return undefined;
    }
    const { session, sequence } = envelope;
    const verdict = sessions.admit(session, sequence, envelope.acked, position, time);
    if (verdict === 'expired') return { verdict, session, sequence };
    if (verdict === 'forgotten') return undefined;
    if (verdict === 'repeated') {
      const known = sessions.resultOf(session, sequence);
      return known && { verdict, session, sequence, result: known.result };
    }
    const { machine, dialect } = this.parts;
    let command: Command;
    const result = await applyGuarded(manager, dialect, () => {
      // Made anew for each attempt: what an earlier one drew or changed must not reach the next.
      command = this.parts.command.decode(envelope.command);
      return machine.apply(command, manager, new LogContext(position, time));
    });
    sessions.done(session, sequence, result);
    return { verdict, session, sequence, position, time, command: command!, result };
  }
}
