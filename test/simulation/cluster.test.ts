import { runSeeds } from '../../framework/testing/index.ts';
import { clusterScenario } from './cluster-scenario.ts';
import { diskScenario } from './disk-scenario.ts';
import { groupsScenario, type Probes } from './groups-scenario.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 10);
/** Enough that what is rare comes up. */
const GROUP_SEEDS = 2 * SEEDS;

/** What the groups' scenario came across: what never comes up is not tested. */
const probes: Probes = new Set();

describe('in virtual time', () => {
  test.each([
    ['the whole cluster', SEEDS, clusterScenario],
    ['the whole cluster, on disks that fail', SEEDS, diskScenario],
    [
      'groups on Raft hosts, with state machines on them',
      GROUP_SEEDS,
      (seed: number) => groupsScenario(seed, probes),
    ],
  ])(
    '%s, through %i seeds of faults: keeps its promises, and does the same twice',
    async (_, seeds, scenario) => {
      const failures = await runSeeds({
        scenario,
        seeds,
        checkShare: 0.05,
        print: () => {},
      });
      expect(failures).toEqual([]);
    },
    1_200_000,
  );

  test('what is rare came up', () => {
    const all: string[] = ['compaction refused', 'disk full', 'disk stalled', 'snapshot installed'];
    expect([...probes].sort()).toEqual(all);
  });
});
