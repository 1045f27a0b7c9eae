import { runSeeds } from '../../framework/testing/index.ts';
import { clusterScenario } from './cluster-scenario.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 40);

describe('the whole cluster in virtual time', () => {
  test(`keeps its promises through ${SEEDS} seeds of faults, and does the same twice`, async () => {
    const failures = await runSeeds({
      scenario: clusterScenario,
      seeds: SEEDS,
      checkShare: 0.05,
      print: () => {},
    });
    expect(failures).toEqual([]);
  }, 300_000);
});
