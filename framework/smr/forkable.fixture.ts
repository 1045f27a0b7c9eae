import { type ApplyContext, type StateMachine, VersionedMap } from './index.ts';

export type TallyCommand =
  /** Adds to a sum, unless that fell below 0. */
  | { readonly op: 'add'; readonly key: string; readonly by: number }
  /** Keeps where or when it was applied, and does not say it. */
  | { readonly op: 'stamp'; readonly key: string; readonly of: 'place' | 'time' | 'chance' }
  | { readonly op: 'later'; readonly key: string; readonly by: number; readonly ms: number }
  | { readonly op: 'cancel'; readonly timer: number }
  | { readonly op: 'break' }
  | { readonly op: 'cycle' };

export type TallyResult =
  | { readonly done: boolean; readonly sum: number }
  | { readonly timer: number }
  | { readonly cancelled: boolean };

/** Sums that can be forked. By the second version of its rules everything counts twice. */
export class Tally implements StateMachine<TallyCommand, TallyResult, [string, number][]> {
  readonly rules = 2;
  sums = new VersionedMap<string, number>();

  apply(command: TallyCommand, context: ApplyContext<TallyCommand>): TallyResult {
    switch (command.op) {
      case 'add':
        return this.add(command.key, command.by * context.rules, context);
      case 'stamp':
        this.sums.set(command.key, seen(command.of, context));
        return { done: true, sum: 0 };
      case 'later': {
        const { key, by, ms } = command;
        return { timer: context.schedule(context.time + ms, { op: 'add', key, by }) ?? 0 };
      }
      case 'cancel':
        return { cancelled: context.cancel(command.timer) };
      case 'cycle': {
        const result: { done: boolean; sum: number; of?: unknown } = { done: true, sum: 0 };
        result.of = result;
        return result;
      }
      default:
        throw new Error('the machine breaks');
    }
  }

  fork(): Tally {
    const fork = new Tally();
    fork.sums = this.sums.fork();
    return fork;
  }

  snapshot(): [string, number][] {
    return [...this.sums];
  }

  restore(sums: [string, number][]): void {
    this.sums = new VersionedMap(sums);
  }

  private add(key: string, by: number, { emit }: ApplyContext<TallyCommand>): TallyResult {
    const before = this.sums.get(key) ?? 0;
    if (before + by < 0) return { done: false, sum: before };
    this.sums.set(key, before + by);
    emit({ key, sum: before + by });
    return { done: true, sum: before + by };
  }
}

function seen(of: 'place' | 'time' | 'chance', context: ApplyContext<TallyCommand>): number {
  if (of === 'time') return context.time;
  return of === 'chance' ? context.random() : context.position + context.index;
}
