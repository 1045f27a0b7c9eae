import type { TopicOptions } from '../log/index.ts';
import { realClock } from '../runtime/index.ts';
import { startReplica } from '../smr/index.ts';
import { orderedLogContract, recordLogContract } from './contracts/index.ts';
import { ManualClock } from './manual-clock.ts';
import { MemoryLog } from './memory-log.ts';
import { SeededRandom } from './simulator/random.ts';

describe.each([
  ['as it is', {}],
  ['in pieces', { random: new SeededRandom(1) }],
])('a log over a link, %s, keeps the contract of all ordered logs', (_, options) => {
  const make = async () => {
    const link = new MemoryLog().link({ clock: realClock(), ...options });
    return { log: link.asOrderedLog(), close: async () => {} };
  };
  for (const { title, run } of orderedLogContract(make)) test(title, run);
});

describe('records over a link keep the contract of all logs of records', () => {
  const make = async () => {
    const log = new MemoryLog();
    const link = log.link({ clock: realClock() });
    return {
      log: link.records(),
      logStreams: [1, 2] as const,
      as: <T, In>(options: TopicOptions<T, In>) => link.records(options),
      consumers: log.consumers,
      trim: (position: number) => log.compact(position, new Uint8Array()),
      close: async () => {},
    };
  };
  for (const { title, run } of recordLogContract(make)) test(title, run);
});

test('records over a link lag, are cut off, and are appended with its faults', async () => {
  const clock = new ManualClock();
  const log = new MemoryLog({ clock });
  const link = log.link({ clock });
  const [near, far] = [log.records(), link.records()];
  const seen: string[] = [];
  const tail = far.tail$({ from: 'start' }).subscribe((it) => seen.push(it.text()));
  await clock.advance(1);
  link.followMs = 500;
  await near.append('a');
  await clock.advance(499);
  expect(seen).toEqual([]);
  await clock.advance(1);
  expect(seen).toEqual(['a']);
  link.cut();
  await near.append('b');
  const refused = far.append('c').catch(({ code }: { code: string }) => code);
  await clock.advance(10_000);
  expect([seen, await refused]).toEqual([['a'], 'UNAVAILABLE']);
  link.mend();
  await clock.advance(500);
  expect(seen).toEqual(['a', 'b']);
  link.failNext('unknownApplied');
  link.latencyMs = 20;
  const unknown = far.append('d').catch(({ code }: { code: string }) => code);
  await clock.advance(40);
  expect(await unknown).toBe('APPEND_UNKNOWN');
  await clock.advance(520);
  expect(seen).toEqual(['a', 'b', 'd']);
  tail.unsubscribe();

  link.latencyMs = 0;
  const opening = link.records().producer({ id: 7 });
  await clock.advance(1);
  const producer = await opening;
  link.failNext('refused', 'unknownApplied', 'unknownLost');
  link.cut();
  const kept = producer.append('e');
  await clock.advance(10_000);
  link.mend();
  await clock.advance(1);
  expect(await kept).toMatchObject({ glsn: 4, duplicate: true });
  expect(await log.tail()).toBe(4);
});

class Counter {
  value = 0;
  apply(add: number): number {
    this.value += add;
    return this.value;
  }
  snapshot(): number {
    return this.value;
  }
  restore(value: number): void {
    this.value = value;
  }
}

/** Two replicas, each over a link of its own, on a clock that is moved by hand. */
async function twoReplicas() {
  const clock = new ManualClock();
  const log = new MemoryLog({ clock });
  const ports = { clock, random: new SeededRandom(1) };
  const start = async () => {
    const link = log.link({ clock });
    const replica = await startReplica<number, number, number, Counter>({
      machine: new Counter(),
      log: link,
      ports,
    });
    return { link, replica };
  };
  const [near, far] = [await start(), await start()];
  /** What a promise came to by then. */
  const within = async <T>(ms: number, promise: Promise<T>): Promise<T | string> => {
    let outcome: T | string = 'open';
    promise.then(
      (value) => {
        outcome = value;
      },
      (error: { code: string }) => {
        outcome = error.code;
      },
    );
    await clock.advance(ms);
    return outcome;
  };
  return { log, near, far, within };
}

test('what is wrong with one link does not concern the others', async () => {
  const { near, far, within } = await twoReplicas();
  expect(await within(100, near.replica.execute(1))).toBe(1);
  far.link.cut();
  const lost = far.replica.execute(10, { timeoutMs: 1_000 });
  const kept = far.replica.execute(100);
  expect(await within(100, near.replica.execute(1))).toBe(2);
  expect(await within(1_000, lost)).toBe('TIMEOUT');
  expect(far.replica.machine.value).toBe(1);
  expect(
    await within(
      1_000,
      far.replica.query((it) => it.value),
    ),
  ).toBe('open');
  far.link.mend();
  expect(await within(5_000, kept)).toBe(102);
  expect(
    await within(
      100,
      near.replica.query((it) => it.value),
    ),
  ).toBe(102);
});

test('a link is slow for what it is set to be slow for', async () => {
  const { near, far, within } = await twoReplicas();
  far.link.followMs = 500;
  expect(await within(10, near.replica.execute(1))).toBe(1);
  expect(far.replica.machine.value).toBe(0);
  const asked = far.replica.query((it) => it.value);
  expect(await within(400, asked)).toBe('open');
  expect(await within(600, asked)).toBe(1);

  near.link.tailMs = 300;
  const query = near.replica.query((it) => it.value);
  expect(await within(299, query)).toBe('open');
  expect(await within(1, query)).toBe(1);

  near.link.latencyMs = 50;
  const slow = near.replica.execute(1);
  expect(await within(99, slow)).toBe('open');
  expect(await within(51, slow)).toBe(2);
});

test('what an append over it suffers is mended by its replica, and each command counts once', async () => {
  const { log, near, far, within } = await twoReplicas();
  near.link.failNext('refused', 'unknownApplied', 'unknownLost', 'unknownLate');
  for (const value of [1, 2, 3]) {
    expect(await within(10_000, near.replica.execute(1))).toBe(value);
  }
  expect(
    await within(
      100,
      far.replica.query((it) => it.value),
    ),
  ).toBe(3);
  // Two opened a session at most, and each repetition is there twice.
  expect(await log.tail()).toBeGreaterThan(4);
  near.link.cut();
  const over = near.link.asOrderedLog();
  expect(await within(10, over.tail())).toBe('UNAVAILABLE');
  near.link.mend();
  near.link.latencyMs = 10;
  const appended = over.append([new Uint8Array(1)]);
  await within(15, Promise.resolve());
  near.link.cut();
  expect(await within(10, appended)).toBe('APPEND_UNKNOWN');
  near.link.mend();
  expect(await within(100, over.append([new Uint8Array(1)], { timeoutMs: 5 }))).toBe('TIMEOUT');
});
