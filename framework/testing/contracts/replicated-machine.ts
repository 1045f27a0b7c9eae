import {
  type ApplyContext,
  type LockCommand,
  type LockResult,
  LockTable,
  type LockTableState,
  Outbox,
  type OutboxState,
  type StateMachine,
  VersionedMap,
} from '../../smr/index.ts';

export type Command =
  | { readonly op: 'add'; readonly key: string; readonly by: number }
  | { readonly op: 'later'; readonly inMs: number; readonly key: string; readonly by: number }
  | { readonly op: 'lock'; readonly lock: LockCommand }
  | { readonly op: 'send'; readonly mail: string }
  | { readonly op: 'sent'; readonly key: string }
  | { readonly op: 'break' };

export interface State {
  readonly sums: readonly (readonly [key: string, sum: number])[];
  readonly locks: LockTableState;
  readonly outbox: OutboxState<string>;
}

/** A machine that uses all that the runtime offers it: sums by key, timers, changes, rules, locks, effects, forks. */
export class Everything implements StateMachine<Command, unknown, State> {
  readonly rules = 2;
  locks = new LockTable<Command>((lock) => ({ op: 'lock', lock }));
  outbox = new Outbox<string>();
  sums = new VersionedMap<string, number>();

  apply(command: Command, context: ApplyContext<Command>): unknown {
    switch (command.op) {
      case 'add':
        return this.add(command, context);
      case 'later': {
        const { inMs, key, by } = command;
        return context.schedule(context.time + inMs, { op: 'add', key, by });
      }
      case 'lock':
        return this.locks.apply(command.lock, context);
      case 'send':
        return this.outbox.add(command.mail, context);
      case 'sent':
        return this.outbox.acknowledge(command.key);
      default:
        throw new Error('the machine breaks');
    }
  }

  /** By the second version of the rules everything counts twice. */
  private add({ key, by }: { key: string; by: number }, { rules, emit }: ApplyContext): number {
    const sum = (this.sums.get(key) ?? 0) + rules * by;
    this.sums.set(key, sum);
    emit({ key, sum });
    return sum;
  }

  snapshot(): State {
    return {
      sums: [...this.sums],
      locks: this.locks.snapshot(),
      outbox: this.outbox.snapshot(),
    };
  }

  restore({ sums, locks, outbox }: State): void {
    this.sums = new VersionedMap(sums);
    this.locks.restore(locks);
    this.outbox.restore(outbox);
  }

  fork(): Everything {
    const fork = new Everything();
    fork.sums = this.sums.fork();
    fork.locks = this.locks.fork();
    fork.outbox = this.outbox.fork();
    return fork;
  }

  inspect(key: string): number | undefined {
    return this.sums.get(key);
  }
}

/** The same, but for what one of its instances does at the command of that number. */
export class Wayward extends Everything {
  private left: number;
  constructor(at: number) {
    super();
    this.left = at;
  }
  override apply(command: Command, context: ApplyContext<Command>): unknown {
    const result = super.apply(command, context);
    if (--this.left === 0) this.sums.set('wayward', 1);
    return result;
  }
}

export const asLockResult = (result: unknown): LockResult => result as LockResult;
