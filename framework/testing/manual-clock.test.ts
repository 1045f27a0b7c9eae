import { startReplica } from '../smr/index.ts';
import { type ClockUnderTest, clockContract } from './contracts/index.ts';
import { ManualClock } from './manual-clock.ts';
import { MemoryLog } from './memory-log.ts';
import { SeededRandom } from './simulator/random.ts';

describe('a clock that is moved by hand keeps the contract of all clocks', () => {
  const make = async (): Promise<ClockUnderTest> => {
    const clock = new ManualClock();
    const run = async (scenario: () => Promise<void>): Promise<void> => {
      let ended = false;
      const playing = scenario().finally(() => {
        ended = true;
      });
      while (!ended) await clock.advance(1);
      await playing;
    };
    return { clock, run, close: async () => {} };
  };
  for (const { title, run } of clockContract(make)) test(title, run);
});

test('each timer finds its own time, and those that it sets ring in the same stretch', async () => {
  const clock = new ManualClock({ wall: 1_000 });
  const rang: [string, number, number][] = [];
  const note = (name: string) => rang.push([name, clock.now(), clock.wall()]);
  clock.after(30, () => note('late'));
  clock.after(10, () => {
    note('first');
    clock.after(5, () => note('set meanwhile'));
  });
  clock.after(1_000, () => note('never')).cancel();
  await clock.advance(20);
  clock.setWall(500);
  expect(clock.pending).toBe(1);
  await clock.advance(10);
  expect(rang).toEqual([
    ['first', 10, 1_010],
    ['set meanwhile', 15, 1_015],
    ['late', 30, 510],
  ]);
  expect(clock.pending).toBe(0);
});

test('a replica and its log live by it', async () => {
  const clock = new ManualClock();
  const log = new MemoryLog({ clock });
  const machine = {
    value: 0,
    apply(add: number, { time }: { time: number }): [number, number] {
      this.value += add;
      return [this.value, time];
    },
    snapshot: (): number => machine.value,
    restore(value: number): void {
      machine.value = value;
    },
  };
  const ports = { clock, random: new SeededRandom(1) };
  await using replica = await startReplica<number, [number, number], number, unknown>({
    machine,
    log,
    ports,
  });
  expect(await replica.execute(1)).toEqual([1, clock.wall()]);
  log.disconnect();
  const late = replica.execute(1, { timeoutMs: 1_000 }).catch((error: unknown) => error);
  await clock.advance(999);
  log.connect();
  log.disconnect();
  await clock.advance(1);
  expect(await late).toMatchObject({ code: 'TIMEOUT' });
});
