import type { ApplyContext, MachineDefinition, StateMachine } from './index.ts';

export type Put = { key: string; value: number };
export type Defect = { readonly at: number; readonly kind: 'result' | 'state' | 'failure' };
type Accounts = Record<string, number>;

/** Sums up values by key. With a defect it does one thing wrong, at the command of that number. */
export class Sums implements StateMachine<Put, number, { sums: Accounts; count: number }> {
  sums: Accounts = {};
  count = 0;
  private readonly defect: Defect | undefined;
  constructor(defect?: Defect) {
    this.defect = defect;
  }
  apply({ key, value }: Put, { random }: ApplyContext): number {
    expect(typeof random).toBe('function');
    this.count++;
    const kind = this.count === this.defect?.at ? this.defect.kind : undefined;
    if (kind === 'failure') throw new Error('a bug');
    const sum = (this.sums[key] ?? 0) + value;
    this.sums[key] = kind === 'state' ? sum + 1 : sum;
    return kind === 'result' ? sum + 1 : sum;
  }
  snapshot() {
    return { sums: this.sums, count: this.count };
  }
  restore({ sums, count }: { sums: Accounts; count: number }): void {
    this.sums = { ...sums };
    this.count = count;
  }
  inspect(key: string): number | undefined {
    return this.sums[key];
  }
}

export const sumsWith = (defect?: Defect): MachineDefinition => ({ make: () => new Sums(defect) });
