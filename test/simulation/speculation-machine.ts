import { type ApplyContext, type StateMachine, VersionedMap } from '../../framework/smr/index.ts';

export const ACCOUNTS = ['a', 'b', 'c'];
const FIRST_BALANCE = 20;

/** `n` names the command among all that are ever made. */
export type AccountsCommand = { readonly n: number } & (
  | { readonly op: 'move'; readonly from: string; readonly to: string; readonly amount: number }
  /** Keeps what it sees of its place in the log, for `stamped` to answer. */
  | { readonly op: 'stamp' | 'stamped' }
  | { readonly op: 'later'; readonly ms: number; readonly to: string }
  | { readonly op: 'cancel'; readonly timer: number }
);

export type AccountsResult = readonly (number | boolean)[];

export interface AccountsState {
  readonly balances: readonly (readonly [string, number])[];
  readonly stamp: number;
  readonly count: number;
}

/**
 * Balances that are moved and run out, so that most answers depend on what came before. By the second version of its rules
 * everything is moved twice.
 */
export class Accounts implements StateMachine<AccountsCommand, AccountsResult, AccountsState> {
  readonly rules = 2;
  balances = new VersionedMap<string, number>(ACCOUNTS.map((it) => [it, FIRST_BALANCE] as const));
  stamp = 0;
  count = 0;

  apply(command: AccountsCommand, context: ApplyContext<AccountsCommand>): AccountsResult {
    this.count++;
    switch (command.op) {
      case 'move':
        return this.move(command.from, command.to, command.amount * context.rules, context);
      case 'stamp':
        this.stamp = context.position + context.random();
        return [];
      case 'stamped':
        return [this.stamp];
      case 'later': {
        const { n, ms, to } = command;
        const move = { n: -n, op: 'move', from: to, to, amount: 0 } as const;
        return [context.schedule(context.time + ms, move) ?? 0];
      }
      default:
        return [context.cancel(command.timer)];
    }
  }

  fork(): Accounts {
    const fork = new Accounts();
    fork.balances = this.balances.fork();
    fork.stamp = this.stamp;
    fork.count = this.count;
    return fork;
  }

  snapshot(): AccountsState {
    return { balances: [...this.balances], stamp: this.stamp, count: this.count };
  }

  restore({ balances, stamp, count }: AccountsState): void {
    this.balances = new VersionedMap(balances);
    this.stamp = stamp;
    this.count = count;
  }

  private move(
    from: string,
    to: string,
    amount: number,
    { emit }: ApplyContext<AccountsCommand>,
  ): AccountsResult {
    const left = this.balances.get(from)! - amount;
    if (left < 0) return [false, this.balances.get(from)!, this.balances.get(to)!, this.count];
    this.balances.set(from, left);
    this.balances.set(to, this.balances.get(to)! + amount);
    emit([from, to, amount]);
    return [true, left, this.balances.get(to)!, this.count];
  }
}

/**
 * What the last of these commands comes to if they are applied next, by a copy of the state that shares nothing with the
 * machine; `undefined` where that depends on what nobody can know.
 */
export function expected(
  state: AccountsState,
  commands: readonly AccountsCommand[],
  rules: number,
): AccountsResult | undefined {
  const machine = new Accounts();
  machine.restore(structuredClone(state));
  const context: ApplyContext<AccountsCommand> = {
    rules,
    position: 0,
    index: 0,
    time: 0,
    timer: undefined,
    random: () => 0,
    schedule: () => 0,
    cancel: () => false,
    emit: () => {},
  };
  let result: AccountsResult | undefined;
  for (const it of commands) result = machine.apply(it, context);
  const last = commands.at(-1)!;
  const isStamped = last.op === 'stamped' && commands.every((it) => it.op !== 'stamp');
  return last.op === 'move' || isStamped ? result : undefined;
}
