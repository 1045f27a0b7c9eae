import { SeededRandom } from '../../testing/index.ts';
import { inPieces } from '../pieces.ts';
import { TransactionMachine, type TransactionState } from './transaction-machine.ts';
import { anyCommand } from './transactions.fixture.ts';

const LIMITS = { keptMs: 40, bytesMax: 400_000 };
const SEEDS = Array.from({ length: 8 }, (_, i) => i + 1);

const piecesOf = (machine: TransactionMachine): TransactionState[] => [
  ...machine.snapshot().begin(),
];

/** A machine of which keys were written and removed, and transactions aborted, `count` of them after `position`. */
function go(machine: TransactionMachine, seed: number, position: number, count: number): void {
  const random = new SeededRandom(seed);
  for (let at = position + 1; at <= position + count; at++)
    machine.apply(anyCommand(random), { position: at, time: at });
}

function put(machine: TransactionMachine, position: number, key: string, value: string): void {
  const commit = { op: 'commit', id: `put ${position}`, attempt: 1, since: 0, reads: [] } as const;
  machine.apply({ ...commit, writes: [[key, value]] }, { position, time: position });
}

test.each(SEEDS)(
  'a state in pieces is that of its moment, and makes an equal machine (seed %d)',
  async (seed) => {
    const machine = new TransactionMachine(LIMITS);
    go(machine, seed, 0, 200);
    const before = piecesOf(machine);
    const snapshot = machine.snapshot().begin();
    go(machine, seed + 100, 200, 200);
    expect([...snapshot]).toEqual(before);
    const other = new TransactionMachine(LIMITS);
    go(other, seed + 200, 0, 20);
    await other.restore(inPieces(before));
    expect(piecesOf(other)).toEqual(before);
    go(other, seed + 100, 200, 200);
    expect(piecesOf(other)).toEqual(piecesOf(machine));
  },
);

test('a state that an older version has kept whole is read', async () => {
  const machine = new TransactionMachine(LIMITS);
  go(machine, 1, 0, 200);
  const pieces = piecesOf(machine);
  const all = <T>(of: (piece: TransactionState) => readonly T[]): T[] => pieces.flatMap(of);
  const [first] = pieces as [TransactionState];
  const whole: TransactionState = {
    ...first,
    items: all((it) => it.items),
    // These stood in the order in which they came.
    outcomes: {
      ...first.outcomes,
      older: all((it) => it.outcomes.older).reverse(),
      newer: all((it) => it.outcomes.newer).reverse(),
    },
    removals: {
      ...first.removals,
      older: all((it) => it.removals.older).reverse(),
      newer: all((it) => it.removals.newer).reverse(),
    },
  };
  expect(whole.outcomes.older.length).toBeGreaterThan(1);
  const other = new TransactionMachine(LIMITS);
  await other.restore(whole);
  expect(piecesOf(other)).toEqual(pieces);
});

test('no piece is large, whatever the state has most of', () => {
  const machine = new TransactionMachine({ keptMs: 1e9, bytesMax: 1e9 });
  for (let i = 1; i <= 4_000; i++) put(machine, i, `key ${i % 3_000}`, 'x'.repeat(i % 1_000));
  const sizes = piecesOf(machine).map((it) => JSON.stringify(it).length);
  expect(sizes.length).toBeGreaterThan(20);
  expect(Math.max(...sizes)).toBeLessThan(100_000);
});
