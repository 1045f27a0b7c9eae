import type { DataSource, EntityManager } from 'typeorm';
import {
  type Clock,
  type Random,
  type SerialQueue,
  sleep,
  type Timer,
  VarlogError,
} from '../../base/index.ts';
import type { LogIdentity } from '../log-identity.ts';
import { type ApplierTables, fenced, type LockState } from './applier-tables.ts';
import type { Dialect } from './dialect.ts';

/** So many looks in the time in which an applier must answer. */
const LOOKS = 10;

export interface ApplierLockParts {
  readonly dataSource: DataSource;
  readonly dialect: Dialect;
  readonly tables: ApplierTables;
  /** Shared with all that use the DataSource. */
  readonly turns: SerialQueue;
  readonly clock: Clock;
  readonly random: Random;
  /** An applier that has not answered for so long may be replaced. */
  readonly takeOverMs: number;
}

/**
 * One applier for a database, of all processes. One that comes asks, in the database, whether there is
 * another; one that lives answers, and the one that came is refused. Only when no answer came for
 * `takeOverMs` it takes over, and whoever was too slow is fenced by the owner number. So of two that are
 * kept running by supervisors one goes on undisturbed. No clocks are compared.
 */
export class ApplierLock {
  /** The owner number under which this applier holds the lock; 0 for none. */
  owner = 0;
  private readonly parts: ApplierLockParts;
  private readonly holder: string;
  private timer: Timer | undefined;
  private ended = false;

  constructor(parts: ApplierLockParts) {
    this.parts = parts;
    this.holder = parts.random.id();
  }

  /** Becomes the one applier; `clock` measures the wait for an answer. Rejects with `ANOTHER_APPLIER`, `LOG_MISMATCH` or the database's error. */
  async acquire(identity: LogIdentity, clock: Clock): Promise<void> {
    const { takeOverMs, tables } = this.parts;
    let asked: LockState | undefined;
    const deadline = clock.now() + takeOverMs;
    for (let late = false; this.owner === 0; ) {
      try {
        asked ??= await this.transaction(async (manager) => {
          await tables.dedicate(manager, identity);
          return this.ask(manager);
        });
        const question = asked;
        this.owner = await this.transaction((manager) => this.look(manager, question, late));
      } catch (error) {
        // A database that is busy is being used: the next look tells by whom.
        if (late || VarlogError.is(error)) throw error;
      }
      if (this.owner !== 0) return;
      await sleep(clock, takeOverMs / LOOKS);
      late = clock.now() >= deadline;
    }
  }

  /** Answers those who ask from now on. `lost` is called when another has taken over. */
  keep(lost: (error: VarlogError) => void): void {
    const { clock, takeOverMs, tables, turns, dataSource } = this.parts;
    const answer = async (): Promise<void> => {
      const { owner, challenge, answer: answered } = await tables.glance(dataSource.manager);
      if (owner !== this.owner) throw fenced();
      if (answered < challenge) await this.exclusively(async () => {});
    };
    const next = (): void => {
      if (this.ended) return;
      this.timer = clock.after(takeOverMs / LOOKS, () => {
        turns
          .run(async () => (this.ended ? undefined : answer()))
          .catch((error: unknown) => {
            // Trouble of the database is met, counted and told where commands are applied.
            if (!this.ended && VarlogError.is(error, 'ANOTHER_APPLIER')) lost(error);
          })
          .finally(next);
      });
    };
    next();
  }

  /**
   * A transaction that takes effect only while this is the one applier: until it ends, nobody takes over. Rejects with
   * `ANOTHER_APPLIER` where somebody has. The caller has the turn.
   */
  exclusively<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    return this.transaction(async (manager) => {
      await this.parts.tables.lock(manager, this.owner);
      return work(manager);
    });
  }

  /** Lets the next one in without a wait. */
  async release(): Promise<void> {
    this.ended = true;
    this.timer?.cancel();
    if (this.owner === 0) return;
    const { tables } = this.parts;
    await this.transaction(async (manager) => {
      const lockState = await tables.lockState(manager);
      if (lockState.owner === this.owner)
        await tables.setLockState(manager, { ...lockState, holder: '' });
    });
  }

  private async ask(manager: EntityManager): Promise<LockState> {
    const lockState = await this.parts.tables.lockState(manager);
    const asked = { ...lockState, challenge: lockState.challenge + 1 };
    await this.parts.tables.setLockState(manager, asked);
    return asked;
  }

  /** The owner number where the database was taken; 0 as long as the other may still answer. */
  private async look(manager: EntityManager, asked: LockState, late: boolean): Promise<number> {
    const lockState = await this.parts.tables.lockState(manager);
    // Taken by a transaction of ours whose end was not heard of.
    if (lockState.holder === this.holder) return lockState.owner;
    if (lockState.owner !== asked.owner || lockState.answer >= asked.challenge) throw occupied();
    if (lockState.holder !== '' && !late) return 0;
    const owner = lockState.owner + 1;
    const answer = lockState.challenge;
    await this.parts.tables.setLockState(manager, {
      ...lockState,
      owner,
      holder: this.holder,
      answer,
    });
    return owner;
  }

  private async transaction<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    const { dataSource, dialect } = this.parts;
    await dialect.reset(dataSource);
    return dataSource.transaction(work);
  }
}

function occupied(): VarlogError {
  return new VarlogError('ANOTHER_APPLIER', {
    what: 'another replica applies to this database, and it is alive',
    because: 'two processes were given the same database',
    next: 'stop the other one first, or give this one a database of its own: it fills itself from the log',
  });
}
