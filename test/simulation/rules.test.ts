import { runSeeds } from '../../framework/testing/index.ts';
import { type PlantedDefect, replace } from './planted-defect.ts';
import { RULES_MUTANTS } from './rules-mutants.ts';
import { NEW_CODEC, rulesScenario } from './rules-scenario.ts';
import { untilFound } from './until-found.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 6);

/** New code writes commands in their new shape at once. */
function writesNewShapes(): () => void {
  const { command } = NEW_CODEC;
  return replace(command, 'encodeUnder', (value) => command.encode(value));
}

describe('replicas of a machine that are upgraded one after the other', () => {
  test(`through ${SEEDS} seeds: no two of them ever answer differently, and all go on once they have new code`, async () => {
    const failures = await runSeeds({
      scenario: rulesScenario,
      seeds: SEEDS,
      checkShare: 0.1,
      print: () => {},
    });
    expect(failures).toEqual([]);
  }, 1_200_000);

  test.each<[string, PlantedDefect]>([
    ...Object.entries(RULES_MUTANTS),
    ['new code writes commands that old code cannot read', writesNewShapes],
  ])(
    'it is found when %s',
    async (_, begin) => {
      const end = begin();
      try {
        expect(await untilFound(rulesScenario)).toMatch(
          /answers|differ|STATE_DIVERGED|newer shape/,
        );
      } finally {
        end();
      }
    },
    1_200_000,
  );
});
