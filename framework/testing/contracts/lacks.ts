import assert from 'node:assert/strict';
import type { OrderedLog } from '../../base/index.ts';
import type { Register } from './contract.ts';
import type { LogUnderTest } from './ordered-log.ts';

const OPTIONAL = ['compact', 'hold', 'trim'] as const satisfies readonly (keyof OrderedLog)[];

/** A method of `OrderedLog` for what is not kept for ever, which a log need not have. */
export type OptionalLogMethod = (typeof OPTIONAL)[number];

/** What a log does without, as whoever tests it says: tests that would use it say so in their titles. */
export class Lacks {
  private readonly lacks: readonly OptionalLogMethod[];

  constructor(lacks: readonly OptionalLogMethod[]) {
    this.lacks = lacks;
  }

  has(method: OptionalLogMethod): boolean {
    return !this.lacks.includes(method);
  }

  /** The title of a test that uses these methods, where the log has them. */
  titled(title: string, uses: readonly OptionalLogMethod[]): string {
    const without = uses.filter((it) => !this.has(it));
    return without.length === 0 ? title : `${title} (without ${without.join(', ')})`;
  }

  /** Registers the test that the log has all that it was not said to lack, and nothing else. */
  test(test: Register<LogUnderTest>): void {
    const has = OPTIONAL.filter((it) => this.has(it));
    const title = `has ${has.length === 0 ? 'none' : has.join(', ')} of ${OPTIONAL.join(', ')}`;
    test(title, async ({ log }) => {
      const found = OPTIONAL.filter((it) => log[it] !== undefined);
      const lacks = OPTIONAL.filter((it) => log[it] === undefined);
      const next = `give replicaContract what it lacks: { lacks: ${JSON.stringify(lacks)} }`;
      assert.deepEqual(found, has, `the log has ${found.join(', ') || 'none of them'}; ${next}`);
    });
  }
}
