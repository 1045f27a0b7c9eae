import { runSeeds } from '../../framework/testing/index.ts';
import { clusterScenario } from './cluster-scenario.ts';
import { diskScenario } from './disk-scenario.ts';
import { groupsScenario, type Probes } from './groups-scenario.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 40);

/** What the groups' scenario came across: what never comes up is not tested. */
const probes: Probes = new Set();

describe('in virtual time', () => {
  test.each([
    ['the whole cluster', clusterScenario],
    ['the whole cluster, on disks that fail', diskScenario],
    [
      'groups on Raft hosts, with state machines on them',
      (seed: number) => groupsScenario(seed, probes),
    ],
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
    1_200_000,
  );

  test('what is rare came up', () => {
    const all: string[] = ['compaction refused', 'disk full', 'disk stalled', 'snapshot installed'];
    expect([...probes].sort()).toEqual(all);
  });
});
