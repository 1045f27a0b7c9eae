import { jsonCodec } from './codecs.ts';
import { MachineState } from './machine-state.ts';
import { restoreTurns } from './restore-turns.ts';
import { WordCounts } from './word-counts.fixture.ts';

test('pieces are restored in turns, and the machine has its old state until it has all of them', async () => {
  const from = new WordCounts();
  for (let i = 0; i < 3_000; i++) from.apply(`word ${i}`);
  let due: (() => void)[] = [];
  const clock = { defer: (run: () => void) => void due.push(run) };
  const { isInPieces, pieces } = new MachineState(
    from,
    jsonCodec(),
    { inForce: 1 },
    restoreTurns(clock),
  ).capture();
  let [inTurn, most, turns] = [0, 0, 0];
  async function* counted(): AsyncGenerator<Uint8Array> {
    for (const piece of pieces) {
      inTurn++;
      yield piece;
    }
  }
  const to = new WordCounts();
  to.apply('old');
  const old = to.state;
  const restoring = new MachineState(to, jsonCodec(), { inForce: 1 }, restoreTurns(clock)).restore(
    isInPieces,
    counted(),
  );
  let isDone = false;
  void restoring.then(() => {
    isDone = true;
  });
  for (; !isDone; turns++) {
    await new Promise((resolve) => setImmediate(resolve));
    most = Math.max(most, inTurn);
    inTurn = 0;
    if (!isDone) expect(to.state).toEqual(old);
    const now = due;
    due = [];
    for (const run of now) run();
  }
  expect(most).toBeLessThanOrEqual(257);
  expect(turns).toBeGreaterThan(10);
  expect(to.state).toEqual(from.state);
});

test('a restore that fails half-way leaves the old state', async () => {
  const to = new WordCounts();
  to.apply('old');
  const old = to.state;
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('{"total":9}');
    yield Buffer.from('["new",9]');
    throw new RangeError('what follows is damaged');
  }
  const clock = { defer: (run: () => void) => void setImmediate(run) };
  const restoring = new MachineState(to, jsonCodec(), { inForce: 1 }, restoreTurns(clock)).restore(
    true,
    broken(),
  );
  await expect(restoring).rejects.toThrow(RangeError);
  expect(to.state).toEqual(old);
});
