import { runSeeds } from '../../framework/testing/index.ts';
import { IDENTITY_MUTANTS } from './identity-mutants.ts';
import { identityScenario } from './identity-scenario.ts';
import { untilFound } from './until-found.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 6);

describe('who is who', () => {
  test(`through ${SEEDS} seeds nobody is taken for somebody else, and the same seed does the same twice`, async () => {
    const failures = await runSeeds({
      scenario: (seed) => identityScenario(seed),
      seeds: SEEDS,
      checkShare: 0.05,
      print: () => {},
    });
    expect(failures).toEqual([]);
  }, 1_200_000);

  test.each(Object.entries(IDENTITY_MUTANTS))(
    'it is found when %s',
    async (_, { begin, ports }) => {
      const end = begin?.();
      try {
        await untilFound((seed) => identityScenario(seed, ports));
      } finally {
        end?.();
      }
    },
    1_200_000,
  );
});
