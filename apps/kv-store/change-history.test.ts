import fc from 'fast-check';
import { type Change, ChangeHistory } from './change-history.ts';

const change = fc.record({
  key: fc.string({ maxLength: 20 }),
  value: fc.option(fc.uint8Array({ maxLength: 2_000 }), { nil: undefined }),
  skipped: fc.nat(3),
});

function all(history: ChangeHistory, from: number): Change[] | undefined {
  const found: Change[] = [];
  for (let next = from; ; ) {
    const some = history.from(next);
    if (some === undefined) return undefined;
    if (some.length === 0) return found;
    found.push(...some);
    next = some.at(-1)!.revision + 1;
  }
}

test('the newest changes are known in order, from any revision on, and both limits hold', () => {
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 200 }),
      fc.integer({ min: 1, max: 150 }),
      fc.integer({ min: 3_000, max: 60_000 }),
      fc.nat(300),
      (changes, changesMax, bytesMax, from) => {
        const history = new ChangeHistory({ changesMax, bytesMax });
        const added: Change[] = [];
        let revision = 0;
        for (const { skipped, key, value } of changes) {
          revision += 1 + skipped;
          const one: Change = { key, revision, ...(value && { value }) };
          history.add(one);
          added.push(one);
          expect(history.length).toBeLessThanOrEqual(changesMax);
          expect(history.bytes).toBeLessThanOrEqual(bytesMax);
        }
        const { forgotten } = history;
        const kept = added.filter((it) => it.revision > forgotten);
        expect(kept).toHaveLength(history.length);
        expect(history.newest).toBe(revision);
        if (from <= forgotten) expect(history.from(from)).toBeUndefined();
        else expect(all(history, from)).toEqual(kept.filter((it) => it.revision >= from));
        // Half of what may be kept is kept at least, where one change does not fill it.
        if (changes.length >= changesMax && changesMax > 64) {
          const size = added
            .slice(-changesMax)
            .reduce((sum, it) => sum + 240 + (it.value?.length ?? 0), 0);
          if (size < bytesMax) expect(history.length).toBeGreaterThan(changesMax / 2);
        }
      },
    ),
  );
});

test('large values are forgotten long before many changes are', () => {
  const history = new ChangeHistory();
  for (let revision = 1; revision <= 400; revision++)
    history.add({ key: 'k', value: new Uint8Array(512 * 1024), revision });
  expect(history.bytes).toBeLessThanOrEqual(64 * 1024 * 1024);
  expect(history.length).toBeGreaterThan(100);
});
