import { type RunReport, runSeeds } from '../../framework/testing/index.ts';
import { untilFound } from './until-found.ts';

/** Seeds take as long as they take. */
const NO_LIMIT_MS = 1_200_000;

/** What is tested of a scenario. */
interface ScenarioSuite {
  /** What holds in each run. */
  readonly holds: string;
  readonly scenario: (seed: number) => Promise<RunReport>;
  /** How many seeds are run, where `SEEDS` says nothing else. */
  readonly seeds: number;
  /** The first of them, where what is rare comes up sooner than from 1. */
  readonly firstSeed?: number;
  /** What the scenario came across, and all that it has to: what never comes up is not tested. */
  readonly sights?: { readonly seen: ReadonlySet<string>; readonly all: readonly string[] };
  /** The scenario with a planted defect, by what that is: some run must fail. */
  readonly broken?: Readonly<Record<string, (seed: number) => Promise<unknown>>>;
  /** A seed that shows a defect, where the first one does not: the search for one begins with it. */
  readonly shownBy?: Readonly<Record<string, number>>;
}

/** A scenario as a suite: what holds from any seed, and that it does not where something is broken. */
export function describeScenario(name: string, suite: ScenarioSuite): void {
  const { holds, scenario, firstSeed = 1, sights, broken = {}, shownBy = {} } = suite;
  const seeds = Number(process.env['SEEDS'] ?? suite.seeds);

  describe(name, () => {
    test(
      `through ${seeds} seeds ${holds}, and the same seed does the same twice`,
      async () => {
        const run = { scenario, seeds, firstSeed, checkShare: 0.05, print: () => {} };
        const failures = await runSeeds(run);
        expect(failures).toEqual([]);
      },
      NO_LIMIT_MS,
    );

    if (sights !== undefined) {
      test('what is rare came up', () => {
        expect([...sights.seen].sort()).toEqual([...sights.all].sort());
      });
    }

    for (const [defect, run] of Object.entries(broken)) {
      test(`it is found when ${defect}`, () => untilFound(run, shownBy[defect]), NO_LIMIT_MS);
    }
  });
}
