import { MUTANTS } from './raft-mutants.ts';
import { type SearchBounds, search } from './raft-search.ts';

const NOTHING: SearchBounds = {
  campaigns: 1,
  proposals: 0,
  crashes: 0,
  duplicates: 0,
  slowDisks: false,
  // Far more than any path has.
  depth: 100,
  states: 1_000_000,
};

/** The last one takes seconds, the others minutes: they are searched where `SEEDS` asks for a long run. */
const BOUNDS: Partial<SearchBounds>[] = [
  { campaigns: 2 },
  { proposals: 1, crashes: 1, slowDisks: true },
  { proposals: 1, duplicates: 1 },
];

describe('every state that three members can come to', () => {
  test.each(process.env['SEEDS'] === undefined ? BOUNDS.slice(-1) : BOUNDS)(
    'within %j: none breaks an invariant',
    (bounds) => {
      const startMs = performance.now();
      const { states, depth, violation } = search({ ...NOTHING, ...bounds });
      const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
      console.log(`${JSON.stringify(bounds)}: all ${states} states in ${seconds} s`);
      expect(violation).toBeUndefined();
      // All of them: it did not end because of a limit.
      expect(states).toBeLessThan(NOTHING.states);
      expect(depth).toBeLessThan(NOTHING.depth);
    },
    300_000,
  );

  const found: string[] = [];
  afterAll(() => console.log(`shortest ways for a broken variant to show:\n${found.join('\n')}`));

  test.each<[string, Partial<SearchBounds>]>([
    ['acknowledges before the disk has it', {}],
    ['votes twice', {}],
    ['votes for shorter logs', {}],
    ['forgets its vote in a restart', {}],
    ['counts itself before its disk has it', { slowDisks: true }],
    ['counts half of the voters as a majority', {}],
    ['takes entries that do not follow its own', {}],
    ['keeps conflicting entries', {}],
    ['follows appends of an older term', {}],
  ])(
    'finds a member that %s',
    (name, more) => {
      const bounds = { ...NOTHING, campaigns: 2, proposals: 1, crashes: 1, ...more };
      const { violation, states } = search({ ...bounds, states: 50_000 }, MUTANTS[name]!);
      found.push(
        `${name}: ${violation?.rule}, ${states} states\n  ${violation?.trace.join('\n  ')}`,
      );
      expect(violation).toBeDefined();
    },
    120_000,
  );
});
