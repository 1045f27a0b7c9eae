import { checkNames, checkNumber } from '../../base/index.ts';
import type { ApplyContext } from '../state-machine.ts';

/** Something that is to be done outside of the machine, and was not reported to be done yet. */
export interface PendingEffect<Effect> {
  /**
   * Names it for ever, equally on all replicas: `position:index:number` of the effects of one command. To be given to
   * whatever the effect is done to, which can tell by it that it has done it before.
   */
  readonly key: string;
  readonly effect: Effect;
}

/** What a snapshot keeps of an {@link Outbox}: plain data. */
export type OutboxState<Effect> = readonly PendingEffect<Effect>[];

/**
 * What a machine wants done outside of itself, as a part of its state: mails, payments, calls of other services. `apply` must not do
 * them, because every replica calls it, and again after a restart. It adds them here, where they stay until a command says that
 * they are done: {@link EffectRunner} does them at one replica, at least once each. Effects are plain data.
 */
export class Outbox<Effect> {
  private readonly countMax: number;
  /** Oldest first. */
  private readonly pending = new Map<string, Effect>();
  /** The command that added something last, and how much it added. */
  private last = { place: '', count: 0 };

  /** `countMax`: so many may wait. It decides what commands do, so it must be equal on all replicas. */
  constructor(options: { countMax?: number } = {}) {
    checkNames(options, { countMax: true }, 'Outbox');
    const { countMax = 10_000 } = options;
    checkNumber(countMax, 'countMax', 1);
    this.countMax = countMax;
  }

  get size(): number {
    return this.pending.size;
  }

  /** The one that waits longest. */
  get first(): PendingEffect<Effect> | undefined {
    for (const [key, effect] of this.pending) return { key, effect };
    return undefined;
  }

  /** The key of the new effect; `undefined` where no more may wait: answer with a refusal, and change nothing. */
  add(
    effect: Effect,
    { position, index }: Pick<ApplyContext, 'position' | 'index'>,
  ): string | undefined {
    if (this.pending.size >= this.countMax) return undefined;
    const place = `${position}:${index}`;
    this.last = { place, count: this.last.place === place ? this.last.count + 1 : 0 };
    const key = `${place}:${this.last.count}`;
    this.pending.set(key, effect);
    return key;
  }

  /** For the command that says that it is done. Whether it was still waiting. */
  acknowledge(key: string): boolean {
    return this.pending.delete(key);
  }

  /** For the machine's `fork()`: another outbox in which the same waits, as a copy. */
  fork(): Outbox<Effect> {
    const fork = new Outbox<Effect>({ countMax: this.countMax });
    fork.restore(this.snapshot());
    return fork;
  }

  snapshot(): OutboxState<Effect> {
    return [...this.pending].map(([key, effect]) => ({ key, effect }));
  }

  restore(state: OutboxState<Effect>): void {
    this.pending.clear();
    for (const { key, effect } of state) this.pending.set(key, effect);
  }
}
