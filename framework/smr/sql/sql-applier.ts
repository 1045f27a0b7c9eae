import type { DataSource, EntityManager } from 'typeorm';
import type { Codec, LogEntry } from '../../base/index.ts';
import { Admission, type AdmissionLimits, NOTHING_ADMITTED } from '../admission.ts';
import { LogContext } from '../log-context.ts';
import type { Outcome } from '../outcome.ts';
import type { ApplierTables, Progress } from './applier-tables.ts';
import type { SqlStateMachine } from './sql-state-machine.ts';

/** What one transaction decided. `reloaded`: the database was ahead of, or behind, what was in memory. */
export interface Batch<Command> {
  readonly decided: readonly Decision<Command>[];
  readonly reloaded: boolean;
}

export type Decision<Command> =
  | {
      readonly verdict: 'fresh';
      readonly session: number;
      readonly sequence: number;
      readonly position: number;
      readonly time: number;
      readonly command: Command;
      readonly outcome: Outcome;
    }
  | {
      readonly verdict: 'settled';
      readonly session: number;
      readonly sequence: number;
      readonly outcome: Outcome;
    }
  | { readonly verdict: 'expired'; readonly session: number; readonly sequence: number };

export interface SqlApplierParts<Command, Result> {
  readonly machine: SqlStateMachine<Command, Result>;
  readonly dataSource: DataSource;
  readonly tables: ApplierTables;
  readonly command: Codec<Command>;
  readonly result: Codec<Result>;
  readonly limits: AdmissionLimits;
}

/**
 * Applies entries to a database. Effects, position, time and sessions change in one transaction, so
 * that a crash at any moment leaves all of them or none, and what was applied is never applied again.
 */
export class SqlApplier<Command, Result> {
  private readonly parts: SqlApplierParts<Command, Result>;
  readonly admission: Admission;
  private readonly touched = new Set<number>();
  private readonly context = new LogContext();
  private owner = 0;
  /** As committed; `undefined` when memory and database may differ. */
  private stored: number | undefined;
  private applying = 0;
  /** Records of others that were passed over. */
  foreign = 0;

  constructor(parts: SqlApplierParts<Command, Result>) {
    this.parts = parts;
    this.admission = new Admission(parts.limits, {
      session: (id) => this.touched.add(id),
      request: () => {},
    });
  }

  /** Position of the entry at work, or of the last one. */
  get at(): number {
    return this.applying;
  }

  /** Before the first {@link apply}: whose commands are applied. */
  bind(tag: Uint8Array): void {
    this.admission.bind(tag);
  }

  /** Takes the database over from any other applier. Resolves with its position. */
  async open(): Promise<number> {
    const { dataSource, tables } = this.parts;
    this.applying = await dataSource.transaction(async (manager) => {
      this.owner = await tables.claim(manager);
      const progress = await tables.lock(manager, this.owner);
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
  async apply(entries: readonly LogEntry[]): Promise<Batch<Command>> {
    let reloaded = false;
    let decided: Decision<Command>[] = [];
    const before = this.stored;
    this.stored = undefined;
    this.touched.clear();
    this.applying = entries.at(-1)?.position ?? this.applying;
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
    return { decided, reloaded };
  }

  private async load(manager: EntityManager, { time }: Progress): Promise<void> {
    const sessions = await this.parts.tables.sessions(manager);
    this.admission.restore({ ...NOTHING_ADMITTED, time, sessions });
    this.touched.clear();
  }

  private async save(manager: EntityManager, position: number): Promise<void> {
    const { tables } = this.parts;
    for (const id of this.touched) {
      const session = this.admission.sessions.encodeOne(id);
      if (session === undefined) await tables.dropSession(manager, id);
      else await tables.saveSession(manager, session);
    }
    await tables.advance(manager, { position, time: this.admission.time });
  }

  private async applyAll(
    entries: readonly LogEntry[],
    manager: EntityManager,
  ): Promise<Decision<Command>[]> {
    const decided: Decision<Command>[] = [];
    for (const entry of entries) {
      this.applying = entry.position;
      const decision = await this.applyOne(entry, manager);
      if (decision !== undefined) decided.push(decision);
    }
    return decided;
  }

  private async applyOne(
    entry: LogEntry,
    manager: EntityManager,
  ): Promise<Decision<Command> | undefined> {
    const { admission, context } = this;
    const { position } = entry;
    const verdict = admission.admit(entry);
    if (verdict === 'foreign') this.foreign++;
    if (verdict === 'foreign' || verdict === 'passed') return undefined;
    const { session, sequence, time } = admission;
    if (verdict === 'expired') return { verdict, session, sequence };
    if (verdict === 'settled') return { verdict, session, sequence, outcome: admission.outcome };
    context.begin(position, time);
    const command = this.parts.command.decode(admission.command);
    const outcome = this.encode(await this.parts.machine.apply(command, manager, context));
    admission.settle(outcome);
    return { verdict, session, sequence, position, time, command, outcome };
  }

  private encode(result: Result): Outcome {
    try {
      return this.parts.result.encode(result);
    } catch {
      return 'unencodable';
    }
  }
}
