import { runSeeds } from '../../framework/testing/index.ts';
import { clusterScenario } from './cluster-scenario.ts';
import { diskScenario } from './disk-scenario.ts';
import { groupsScenario } from './groups-scenario.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 40);

describe('in virtual time', () => {
  test.each([
    ['the whole cluster', clusterScenario],
    ['the whole cluster, on disks that fail', diskScenario],
    ['groups on Raft hosts, with state machines on them', groupsScenario],
  ])(
    `%s, through ${SEEDS} seeds of faults: keeps its promises, and does the same twice`,
    async (_, scenario) => {
      const failures = await runSeeds({
        scenario,
        seeds: SEEDS,
        checkShare: 0.05,
        print: () => {},
      });
      expect(failures).toEqual([]);
    },
    300_000,
  );
});
