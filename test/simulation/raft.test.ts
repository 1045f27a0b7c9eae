import { MUTANTS } from './raft-mutants.ts';
import { type Climate, RaftWalk, violationOf, WALK_EVENTS } from './raft-walk.ts';

const SEEDS = Number(process.env['RAFT_SEEDS'] ?? 1_000);
/** A broken variant must be found within so many seeds. */
const SEEDS_MAX = 5_000;
/** A seed that shows what is rarely seen: the search for one begins with it. */
const SHOWN_BY: Record<string, number> = {
  'follows appends of an older term': 2_089,
  'answers reads without asking a majority': 398,
  'keeps its lease over a pause': 152,
  'keeps its lease when it hands over': 57,
  'counts on a tick of its followers that may be short': 208,
  'helps to depose a leader that it hears': 115,
  'looks for another leader at once, with leases too': 1_695,
  'writes what a snapshot has replaced': 293,
  'asks only the new majority in a change': 155,
  'keeps a configuration that was cut off': 300,
};
/** Walks in which what is broken comes into play more often than by chance. */
const LEASES: Partial<Climate> = {
  ...{ leases: true, unleased: 0 },
  ...{ drift: 0.04, msPerEvent: 0.3, transfers: 15 },
};
/** Nothing fails but the network, now and then. */
const QUIET: Partial<Climate> = {
  ...{ loss: 0, late: 0, disorder: 0, duplication: 0, drift: 0.04, slowDisks: false },
  ...{ crashes: 0, pauses: 0, changes: 0, transfers: 0, compactions: 0, foreigners: 0 },
};
/** Some of the members hear the leader, and others do not. */
const TORN: Partial<Climate> = {
  ...QUIET,
  ...{ partitions: 15, leases: true, unleased: 0, electionTicks: 8, msPerEvent: 1 },
};
const REMOVALS: Partial<Climate> = {
  ...QUIET,
  changes: 30,
  crashes: 30,
  partitions: 5,
  slowDisks: true,
};
const CLIMATES: Record<string, Partial<Climate>> = {
  'keeps its lease over a pause': LEASES,
  'keeps its lease when it hands over': LEASES,
  'follows appends of an older term': {
    ...QUIET,
    ...{ loss: 0.3, late: 0.8, disorder: 0.5, transfers: 30, msPerEvent: 1 },
    ...{ leases: false, electionTicks: 8 },
  },
  'counts on a tick of its followers that may be short': {
    ...QUIET,
    leases: true,
    unleased: 0,
    electionTicks: 2,
    msPerEvent: 0.03,
    partitions: 4,
  },
  'helps to depose a leader that it hears': TORN,
  'looks for another leader at once, with leases too': TORN,
  'writes what a snapshot has replaced': { turns: true },
  'keeps the newest snapshot only of those that arrived': { slowDisks: true, compactions: 40 },
  'listens to other groups': { foreigners: 40 },
  'listens to those who never belonged to its group': { foreigners: 40, msPerEvent: 0.3 },
  'stays silent when the newest configuration does not name it, committed or not': REMOVALS,
  'keeps a configuration that was cut off': { changes: 40, compactions: 40, partitions: 15 },
};

/** Found by what a group does not do any more when all faults are over. */
const HEALED = ['stays silent when the newest configuration does not name it, committed or not'];

/** Rare situations; each must come up, or the walks test nothing. */
const PROBES = [
  'change: changing',
  'change: full',
  'change: transferring',
  'commit by two majorities',
  'conflict cut off',
  'crash',
  'full window',
  'joint configuration',
  'leader of a joint configuration',
  'leader removes itself',
  'leader that left',
  'learners',
  'member waits for a snapshot',
  'one that is being removed restarts',
  'paused leader',
  'promotion',
  'proposal: full',
  'proposal: notLeader',
  'proposal: transferring',
  'read from disk for a member',
  'read under a lease',
  'reads that share a round',
  'refused: notMember',
  'refused: otherGroup',
  'rejected append',
  'several inputs in a turn',
  'snapshot in a change',
  'snapshot installed',
  'transfer',
];

describe('a group of pure cores', () => {
  test(`keeps every invariant, comes to rest, and does the same twice (${SEEDS} seeds)`, () => {
    const probes = new Set<string>();
    let commits = 0;
    let reads = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const walk = new RaftWalk(seed, { probes });
      const violation = violationOf(walk, WALK_EVENTS);
      expect({ seed, violation }).toEqual({ seed, violation: undefined });
      commits += walk.observer.commits;
      reads += walk.observer.confirmedReads;
      if (seed % 100 !== 0) continue;
      const again = new RaftWalk(seed);
      violationOf(again, WALK_EVENTS);
      expect({ seed, trace: again.traceHash }).toEqual({ seed, trace: walk.traceHash });
    }
    expect([...probes].sort()).toEqual(PROBES);
    // Otherwise the walks say nothing.
    expect(commits / SEEDS).toBeGreaterThan(50);
    expect(reads / SEEDS).toBeGreaterThan(10);
  }, 600_000);

  const found: string[] = [];
  afterAll(() => console.log(`seeds until a broken variant was found:\n${found.join('\n')}`));

  test.each(Object.keys(MUTANTS))(
    'a member that %s is found',
    (name) => {
      const startMs = performance.now();
      const climate = CLIMATES[name] ?? {};
      for (let seed = SHOWN_BY[name] ?? 1; seed <= SEEDS_MAX; seed++) {
        const walk = new RaftWalk(seed, { mutant: MUTANTS[name]!, climate });
        const violation = violationOf(walk, WALK_EVENTS, HEALED.includes(name));
        if (violation === undefined) continue;
        const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
        found.push(`${seed} in ${seconds} s: ${name} (${violation})`);
        return;
      }
      throw new Error(`not found in ${SEEDS_MAX} seeds`);
    },
    300_000,
  );
});
