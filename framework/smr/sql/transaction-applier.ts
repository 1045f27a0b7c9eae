import type { DataSource, EntityManager } from 'typeorm';
import { type Codec, type LogEntry, VarlogError } from '../../base/index.ts';
import { Admission, type AdmissionLimits } from '../admission.ts';
import type { CommandOutcome } from '../command-outcome.ts';
import { LogContext } from '../log-context.ts';
import type { Rules } from '../rules.ts';
import type { ApplierTables, Progress } from './applier-tables.ts';
import type { Dialect } from './dialect.ts';
import { applyFailed } from './sql-replica-errors.ts';
import type { SqlStateMachine } from './sql-state-machine.ts';
import { applyGuarded } from './statement-guard.ts';

/** What one transaction decided. `reloaded`: the database was newer or older than what was in memory. */
export interface Batch {
  readonly decided: readonly Decision[];
  readonly reloaded: boolean;
}

export type Decision = { readonly session: number; readonly sequence: number } & (
  | {
      readonly verdict: 'fresh';
      readonly position: number;
      readonly time: number;
      /** As it lies in the log. */
      readonly command: Uint8Array;
      readonly outcome: CommandOutcome;
    }
  | { readonly verdict: 'settled'; readonly outcome: CommandOutcome }
  | { readonly verdict: 'expired' }
);

export interface TransactionApplierParts<Command, Result> {
  readonly machine: SqlStateMachine<Command, Result>;
  readonly dataSource: DataSource;
  readonly dialect: Dialect;
  readonly tables: ApplierTables;
  readonly rules: Rules;
  readonly command: Codec<Command>;
  readonly result: Codec<Result>;
  readonly limits: AdmissionLimits;
}

/**
 * Applies entries to a database. Effects, position, time and sessions change in one transaction, so
 * that a crash at any moment leaves all of them or none, and what was applied is never applied again.
 */
export class TransactionApplier<Command, Result> {
  private readonly parts: TransactionApplierParts<Command, Result>;
  readonly admission: Admission;
  private readonly touchedSessions = new Set<number>();
  private readonly touchedRequests = new Set<string>();
  private owner = 0;
  /** As committed; `undefined` when memory and database may differ. */
  private stored: number | undefined;
  private applying = 0;
  /** Records of others that were passed over, as committed. */
  foreign = 0;
  private passed = 0;

  constructor(parts: TransactionApplierParts<Command, Result>) {
    this.parts = parts;
    this.admission = new Admission(parts.limits, parts.rules, {
      session: (id) => this.touchedSessions.add(id),
      request: (id) => this.touchedRequests.add(id),
    });
  }

  /** Position of the entry at work, or of the last one. */
  get at(): number {
    return this.applying;
  }

  /** Begins as the applier with this number. Resolves with the position of the database. */
  async open(owner: number): Promise<number> {
    const { dataSource, tables } = this.parts;
    this.owner = owner;
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
  async apply(entries: readonly LogEntry[]): Promise<Batch> {
    let reloaded = false;
    let decided: Decision[] = [];
    const before = this.stored;
    this.stored = undefined;
    this.untouch();
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

  private async load(manager: EntityManager, progress: Progress): Promise<void> {
    const { tables } = this.parts;
    const sessions = await tables.sessions(manager);
    const requests = await tables.requests(manager);
    this.admission.restore({ ...progress, sessions, requests });
    this.untouch();
  }

  private untouch(): void {
    this.touchedSessions.clear();
    this.touchedRequests.clear();
  }

  private async save(manager: EntityManager, position: number): Promise<void> {
    const { tables } = this.parts;
    const { sessions, requests } = this.admission;
    for (const id of this.touchedSessions) {
      const session = sessions.encodeOne(id);
      if (session === undefined) await tables.dropSession(manager, id);
      else await tables.saveSession(manager, session);
    }
    for (const id of this.touchedRequests) {
      const request = requests.encodeOne(id);
      if (request === undefined) await tables.dropRequest(manager, id);
      else await tables.saveRequest(manager, request);
    }
    await tables.advance(manager, { position, ...this.admission.progress });
  }

  private async applyAll(
    entries: readonly LogEntry[],
    manager: EntityManager,
  ): Promise<Decision[]> {
    const decided: Decision[] = [];
    for (const entry of entries) {
      this.applying = entry.position;
      const decision = await this.applyOne(entry, manager);
      if (decision !== undefined) decided.push(decision);
    }
    return decided;
  }

  private async applyOne(entry: LogEntry, manager: EntityManager): Promise<Decision | undefined> {
    const { admission } = this;
    const { position } = entry;
    const verdict = admission.admit(entry);
    if (verdict === 'foreign') this.passed++;
    // A database is too large to be hashed now and then.
    if (verdict === 'foreign' || verdict === 'passed' || verdict === 'check') return undefined;
    const { session, sequence, time, command } = admission;
    if (verdict === 'expired') return { verdict, session, sequence };
    if (verdict === 'settled') return { verdict, session, sequence, outcome: admission.outcome };
    const result = await this.run(command, manager, position);
    const outcome = this.encoded(result);
    admission.recordOutcome(outcome);
    return { verdict, session, sequence, position, time, command, outcome };
  }

  private async run(bytes: Uint8Array, manager: EntityManager, position: number): Promise<Result> {
    const { machine, dialect, command: codec } = this.parts;
    const { time, rules } = this.admission;
    rules.check(position);
    try {
      return await applyGuarded(manager, dialect, () => {
        // Made anew for each attempt: what an earlier one drew or changed must not reach the next.
        const context = new LogContext();
        context.begin(position, time, rules.inForce);
        return machine.apply(codec.decode(bytes), manager, context);
      });
    } catch (cause) {
      if (VarlogError.is(cause) && !cause.retryable) throw applyFailed(position, 1, cause);
      throw cause;
    }
  }

  private encoded(result: Result): CommandOutcome {
    try {
      return this.parts.result.encode(result);
    } catch {
      return 'unencodable';
    }
  }
}
