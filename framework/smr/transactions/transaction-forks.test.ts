import { firstValueFrom, take, toArray } from 'rxjs';
import { realClock } from '../../runtime/index.ts';
import { MemoryLog, SeededRandom, strictMachine } from '../../testing/index.ts';
import { startReplica } from '../index.ts';
import { type TransactionCommand, TransactionMachine } from './transaction-machine.ts';
import { anyCommand } from './transactions.fixture.ts';

/** So that parts of what is remembered are dropped all the time. */
const small = (): TransactionMachine => new TransactionMachine({ keptMs: 40, bytesMax: 4_000 });
const SEEDS = Array.from({ length: 8 }, (_, i) => i + 1);

const stateOf = (machine: TransactionMachine): string =>
  JSON.stringify([...machine.snapshot().begin()]);
/** A machine that has applied them all, and was never forked. */
function madeOf(commands: readonly TransactionCommand[]): TransactionMachine {
  const machine = small();
  for (const [i, it] of commands.entries()) machine.apply(it, { position: i + 1, time: i + 1 });
  return machine;
}

test.each(SEEDS)('a fork and its machine are each what their commands make (seed %d)', (seed) => {
  const random = new SeededRandom(seed);
  const all: { machine: TransactionMachine; commands: TransactionCommand[] }[] = [
    { machine: small(), commands: [] },
  ];
  for (let i = 0; i < 300; i++) {
    const { machine, commands } = random.pick(all);
    if (random.chance(0.05) && all.length < 8)
      all.push({ machine: machine.fork(), commands: [...commands] });
    const command = anyCommand(random);
    commands.push(command);
    const at = { position: commands.length, time: commands.length };
    const result = machine.apply(command, at);
    expect(result).toEqual(madeOf(commands.slice(0, -1)).apply(command, at));
  }
  expect(all.length).toBeGreaterThan(3);
  for (const { machine, commands } of all) expect(stateOf(machine)).toBe(stateOf(madeOf(commands)));
});

test.each(SEEDS)('speculation ends in the state of those who wait (seed %d)', async (seed) => {
  const random = new SeededRandom(seed);
  const log = new MemoryLog();
  const start = () => startReplica({ machine: strictMachine(small), log });
  await using here = await start();
  await using there = await start();
  const kinds: string[] = [];
  const settling: Promise<unknown>[] = [];
  for (let i = 0; i < 60; i++) {
    const command = anyCommand(random);
    // What is under way at once, sees what came before it; now and then another one comes between.
    if (random.chance(0.2)) settling.push(there.execute(command));
    else {
      const { tentative, settled } = await here.speculate(command);
      const settles = settled.then(({ kind, result }) => {
        kinds.push(kind);
        if (kind === 'confirmed') expect(result).toEqual(tentative);
        else expect(result).not.toEqual(tentative);
      });
      settling.push(settles);
    }
    if (random.chance(0.2)) await Promise.all(settling);
  }
  await Promise.all(settling);
  await there.caughtUp();
  await using later = await start();
  await later.caughtUp();
  expect(kinds).toContain('confirmed');
  const states = [];
  for (const it of [here, there, later]) states.push(await it.query(stateOf));
  expect(new Set(states).size).toBe(1);
});

test('a conflict is told at once, and what others changed takes the answer back', async () => {
  const log = new MemoryLog();
  const link = log.link({ clock: realClock() });
  await using here = await startReplica({ machine: new TransactionMachine(), log: link });
  await using there = await startReplica({ machine: new TransactionMachine(), log });
  const put = (id: string, version: number): TransactionCommand => ({
    op: 'commit',
    ...{ id, attempt: 1, since: 0 },
    reads: [['x', version]],
    writes: [['x', id]],
  });
  // Positions are guessed right when the replica has a session.
  await here.execute({ op: 'settle', id: 'none', since: 0 });
  const events = firstValueFrom(here.speculations$.pipe(take(3), toArray()));
  const first = await here.speculate(put('first', 0));
  expect(first.tentative).toMatchObject({ state: 'committed' });
  const second = await here.speculate(put('second', 0));
  expect(second.tentative).toMatchObject({ state: 'aborted', conflict: { by: 'first' } });
  const { position } = await first.settled;
  await second.settled;
  link.cut();
  const third = await here.speculate(put('third', position));
  expect(third.tentative).toMatchObject({ state: 'committed' });
  expect(here.machine.inspect('x')).toMatchObject({ by: 'first' });
  await there.execute(put('other', position));
  link.mend();
  expect(await third.settled).toMatchObject({
    kind: 'rolledBack',
    result: { state: 'aborted', conflict: { key: 'x', by: 'other' } },
  });
  expect((await events).map(({ kind }) => kind)).toEqual(['confirmed', 'confirmed', 'rolledBack']);
});
