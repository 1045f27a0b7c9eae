import { runSeeds } from '../../framework/testing/index.ts';
import { retentionScenario, type Sight } from './retention-scenario.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 8);

const sights = new Set<Sight>();

test(`topics that keep little, through ${SEEDS} seeds of faults: nothing goes too early, nothing stays too long`, async () => {
  const failures = await runSeeds({
    scenario: (seed) => retentionScenario(seed, sights),
    seeds: SEEDS,
    checkShare: 0.1,
    print: () => {},
  });
  expect(failures).toEqual([]);
}, 1_200_000);

test('what is rare came up', () => {
  const all: Sight[] = ['stopped by a hold', 'trimmed by age', 'trimmed by bytes'];
  expect([...sights].sort()).toEqual(all);
});
