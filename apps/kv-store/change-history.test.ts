import fc from 'fast-check';
import { ChangeHistory } from './change-history.ts';
import { keyOfText } from './key.ts';
import type { Version } from './version.ts';

function change(key: string, revision: number, value?: Uint8Array): Version {
  const rest = { createRevision: revision, version: 1, lease: 0 };
  return { key: keyOfText(key), revision, value, ...rest };
}

/** What is added: `step` 0 for a change of the same revision. */
const added = fc.record({
  key: fc.string({ maxLength: 20, unit: 'binary-ascii' }),
  value: fc.option(fc.uint8Array({ maxLength: 2_000 }), { nil: undefined }),
  step: fc.nat(3),
});

function all(history: ChangeHistory, from: number): Version[] | undefined {
  const found: Version[] = [];
  for (let next = from; ; ) {
    const some = history.from(next);
    if (some === undefined) return undefined;
    if (some.length === 0) return found;
    found.push(...some);
    next = some.at(-1)!.revision + 1;
  }
}

test('the newest changes are known in order, in whole revisions, and what exceeds the limits is known', () => {
  fc.assert(
    fc.property(
      fc.array(added, { maxLength: 200, size: 'max' }),
      fc.integer({ min: 1, max: 150 }),
      fc.integer({ min: 3_000, max: 60_000 }),
      fc.nat(300),
      (changes, changesMax, bytesMax, from) => {
        const history = new ChangeHistory({ changesMax, bytesMax });
        const whole: Version[] = [];
        let revision = 1;
        for (const { step, key, value } of changes) {
          revision += step;
          const one = change(key, revision, value);
          history.add(one);
          whole.push(one);
          // As the store does between two transactions.
          history.forget(Math.min(history.excess, revision - 1));
        }
        const { forgotten } = history;
        const kept = whole.filter((it) => it.revision > forgotten);
        const visited: Version[] = [];
        history.visit(from, (it) => visited.push(it));
        expect(visited).toEqual(kept.filter((it) => it.revision <= from));
        expect(history).toHaveLength(kept.length);
        const size = (of: Version[]): number =>
          of.reduce((sum, it) => sum + 200 + it.key.length + (it.value?.length ?? 0), 0);
        expect(history.bytes).toBe(size(kept));
        // Only what was added last may be larger than the limits.
        const others = kept.filter((it) => it.revision < revision);
        expect(others.length).toBeLessThanOrEqual(changesMax);
        expect(size(others)).toBeLessThanOrEqual(bytesMax);
        if (from <= forgotten) expect(history.from(from)).toBeUndefined();
        else expect(all(history, from)).toEqual(kept.filter((it) => it.revision >= from));
        // Half of what may be kept is kept at least, where single revisions do not fill it.
        const newest = whole.slice(-changesMax);
        const isFine = changes.every(({ step }) => step > 0) && changesMax > 64;
        if (isFine && newest.length === changesMax && size(newest) < bytesMax)
          expect(history.length).toBeGreaterThan(changesMax / 2);
      },
    ),
  );
});

test('large values are forgotten long before many changes are', () => {
  const history = new ChangeHistory();
  for (let revision = 1; revision <= 400; revision++) {
    history.add(change('k', revision, new Uint8Array(512 * 1024)));
    history.forget(history.excess);
  }
  expect(history.bytes).toBeLessThanOrEqual(64 * 1024 * 1024);
  expect(history.length).toBeGreaterThan(100);
});
