import fc from 'fast-check';
import { IdPool, isId } from './id-pool.ts';

const id = fc.integer({ min: 1, max: 12 });

test('no id is given twice, whether chosen or not, also after the pool was restored', () => {
  const steps = fc.array(fc.oneof(id, fc.constantFrom('next' as const, 'restore' as const)));
  fc.assert(
    fc.property(steps, (all) => {
      let pool = new IdPool();
      const given = new Set<number>();
      for (const step of all) {
        if (step === 'restore') {
          const restored = new IdPool();
          restored.restore(structuredClone(pool.snapshot()));
          pool = restored;
          continue;
        }
        const chosen = step === 'next' ? pool.free! : step;
        expect(pool.wasGiven(chosen)).toBe(given.has(chosen));
        pool.give(chosen);
        given.add(chosen);
        expect(given).not.toContain(pool.free);
        for (let below = 1; below < pool.free!; below++) expect(given).toContain(below);
      }
    }),
  );
});

test('where the largest was given too, there is none left', () => {
  const pool = new IdPool();
  pool.restore({ next: 2 ** 31 - 1, above: [] });
  expect(pool.free).toBe(2 ** 31 - 1);
  pool.give(2 ** 31 - 1);
  expect(pool.free).toBeUndefined();
});

test.each([0, -1, 1.5, 2 ** 31, NaN])('%p is no id', (it) => {
  expect(isId(it)).toBe(false);
});
