import type { DataSource, EntityManager } from 'typeorm';
import { type LogEntry, type TurnBudget, VarlogError } from '../../base/index.ts';
import { Admission, type AdmissionLimits } from '../admission.ts';
import type { CommandCodecs } from '../codecs.ts';
import type { CommandOutcome } from '../command-outcome.ts';
import { type AppliedCommand, type CommandPlace, LogContext } from '../log-context.ts';
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

export type Decision =
  | { readonly verdict: 'fired'; readonly applied: AppliedCommand }
  | ({ readonly session: number; readonly sequence: number } & (
      | { readonly verdict: 'fresh'; readonly applied: AppliedCommand }
      | { readonly verdict: 'settled'; readonly outcome: CommandOutcome }
      | { readonly verdict: 'expired' }
    ));

export interface TransactionApplierParts<Command, Result> {
  readonly machine: SqlStateMachine<Command, Result>;
  readonly dataSource: DataSource;
  readonly dialect: Dialect;
  readonly tables: ApplierTables;
  readonly rules: Rules;
  readonly codecs: CommandCodecs<Command, Result>;
  readonly limits: AdmissionLimits;
  /** For what is loaded. */
  readonly turns: TurnBudget;
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
  private readonly touchedTimers = new Set<number>();
  private owner = 0;
  /** As committed; `undefined` when memory and database may differ. */
  private stored: number | undefined;
  private applying = 0;
  private applyingTimer: number | undefined;
  /** Records of others that were passed over, as committed. */
  foreign = 0;
  private passed = 0;

  constructor(parts: TransactionApplierParts<Command, Result>) {
    this.parts = parts;
    this.admission = new Admission(parts.limits, parts.rules, {
      session: (id) => this.touchedSessions.add(id),
      request: (id) => this.touchedRequests.add(id),
      timer: (id) => this.touchedTimers.add(id),
    });
  }

  /** Position of the entry at work, or of the last one; and the timer whose command was. */
  get at(): Pick<CommandPlace, 'position' | 'timer'> {
    return { position: this.applying, timer: this.applyingTimer };
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
    const timers = await tables.timers(manager);
    const stored = { ...progress, sessions, requests, timers };
    const admit = await this.admission.read([stored], this.parts.turns);
    admit();
    this.untouch();
  }

  private untouch(): void {
    this.touchedSessions.clear();
    this.touchedRequests.clear();
    this.touchedTimers.clear();
  }

  private async save(manager: EntityManager, position: number): Promise<void> {
    const { tables } = this.parts;
    const { sessions, requests, timers } = this.admission;
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
    for (const id of this.touchedTimers) {
      const timer = timers.encodeOne(id);
      if (timer === undefined) await tables.dropTimer(manager, id);
      else await tables.saveTimer(manager, timer);
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
      this.applyingTimer = undefined;
      decided.push(...(await this.applyOne(entry, manager)));
    }
    return decided;
  }

  private async applyOne(entry: LogEntry, manager: EntityManager): Promise<Decision[]> {
    const { admission } = this;
    const { position } = entry;
    const verdict = admission.admit(entry);
    const decided: Decision[] = [];
    for (const due of admission.due())
      decided.push({ verdict: 'fired', applied: await this.run(due.command, manager, due) });
    if (verdict === 'foreign') this.passed++;
    // A database is too large to be hashed now and then.
    if (verdict === 'foreign' || verdict === 'passed' || verdict === 'check') return decided;
    const { session, sequence, time, command } = admission;
    if (verdict === 'expired') decided.push({ verdict, session, sequence });
    else if (verdict === 'settled')
      decided.push({ verdict, session, sequence, outcome: admission.outcome });
    else {
      const place = { position, index: decided.length, time, timer: undefined };
      const applied = await this.run(command, manager, place);
      admission.recordOutcome(applied.outcome);
      decided.push({ verdict, session, sequence, applied });
    }
    return decided;
  }

  private async run(
    command: Uint8Array,
    manager: EntityManager,
    place: CommandPlace,
  ): Promise<AppliedCommand> {
    const { machine, dialect, codecs } = this.parts;
    this.applyingTimer = place.timer;
    let context: LogContext<Command> | undefined;
    try {
      const result = await applyGuarded(manager, dialect, () => {
        // Made anew for each attempt: what an earlier one drew or changed must not reach the next.
        context?.rollback();
        context = new LogContext(this.admission.timers, codecs, this.admission.rules);
        context.begin(place);
        return machine.apply(codecs.command.decode(command), manager, context);
      });
      const changes = context?.end() ?? [];
      return { place, command, outcome: this.encoded(result), changes };
    } catch (cause) {
      context?.end();
      if (VarlogError.is(cause) && !cause.retryable) throw applyFailed(place, 1, cause);
      throw cause;
    }
  }

  private encoded(result: Result): CommandOutcome {
    try {
      return this.parts.codecs.result.encode(result);
    } catch {
      return 'unencodable';
    }
  }
}
