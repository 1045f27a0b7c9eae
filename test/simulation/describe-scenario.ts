import { type RunReport, runSeeds } from '../../framework/testing/index.ts';
import { untilFound } from './until-found.ts';

/** Seeds take as long as they take. */
const NO_LIMIT_MS = 1_200_000;
/** So many more are run to see what is rare. */
const MORE_SEEDS_MAX = 30;

/** What is tested of a scenario. */
interface ScenarioSuite {
  /** What holds in each run. */
  readonly holds: string;
  readonly scenario: (seed: number) => Promise<RunReport>;
  /** How many seeds are run, where `SEEDS` says nothing else. */
  readonly seeds: number;
  /** The first of them, where what is rare comes up sooner than from 1. */
  readonly firstSeed?: number;
  /** What the scenario came across, and all that it has to, in more seeds if need be: what never comes up is not tested. */
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
      test(
        'what is rare comes up',
        async () => {
          const { seen, all } = sights;
          // From which seed depends on every detail of the code.
          for (let more = 0; more < MORE_SEEDS_MAX && all.some((it) => !seen.has(it)); more++) {
            const run = { scenario, seeds: 1, firstSeed: firstSeed + seeds + more, checkShare: 0 };
            expect(await runSeeds({ ...run, print: () => {} })).toEqual([]);
          }
          expect([...seen].sort()).toEqual([...all].sort());
        },
        NO_LIMIT_MS,
      );
    }

    for (const [defect, run] of Object.entries(broken)) {
      test(`it is found when ${defect}`, () => untilFound(run, shownBy[defect]), NO_LIMIT_MS);
    }
  });
}
