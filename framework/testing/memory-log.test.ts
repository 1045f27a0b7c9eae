import { startReplica } from '../smr/index.ts';
import {
  orderedLogContract,
  producerContract,
  recordLogContract,
  replicaContract,
} from './contracts/index.ts';
import { ManualClock } from './manual-clock.ts';
import { MemoryLog } from './memory-log.ts';

describe('a log in memory keeps the contract of all ordered logs', () => {
  const make = async () => ({ log: new MemoryLog(), close: async () => {} });
  for (const { title, run } of orderedLogContract(make)) test(title, run);
  for (const { title, run } of replicaContract(make, { lacks: ['hold', 'trim'] }))
    test(title, run, 30_000);
});

async function textsOf(log: MemoryLog): Promise<string[]> {
  const last = await log.tail();
  for await (const it of log.follow(1)) {
    if (it.kind === 'entries' && it.through >= last) {
      return it.entries.map(({ command }) => new TextDecoder().decode(command));
    }
  }
  return [];
}

describe('a log in memory keeps the contract of logs with producers', () => {
  const tests = producerContract(async () => {
    const log = new MemoryLog();
    const producer = (options: { id: number }) => log.producer(options);
    return { producer, texts: () => textsOf(log), close: async () => {} };
  });
  for (const { title, run } of tests) test(title, run);
});

describe('a log in memory keeps the contract of all logs of records', () => {
  const tests = recordLogContract(async () => {
    const log = new MemoryLog();
    return {
      log: log.records(),
      logStreams: [1, 2],
      as: (options) => log.records(options),
      consumers: log.consumers,
      trim: (position) => log.compact(position, new Uint8Array()),
      close: async () => {},
    };
  });
  for (const { title, run } of tests) test(title, run);
});

test('whatever the appends of a producer suffer, each stands in the log once', async () => {
  const log = new MemoryLog();
  const producer = await log.producer({ id: 7 });
  log.failNext('refused', 'unknownApplied', 'unknownLost', 'unknownLate');
  expect(await producer.append('a')).toMatchObject({ glsn: 1, duplicate: true });
  expect(await producer.append('b')).toMatchObject({ glsn: 2, duplicate: false });
  log.disconnect();
  const waiting = producer.append('c');
  log.connect();
  expect(await waiting).toMatchObject({ glsn: 3, sequence: 2, duplicate: false });
  expect(await textsOf(log)).toEqual(['a', 'b', 'c']);
  const { receipt } = await producer.append('d', { receipt: true });
  expect(receipt).toMatchObject({ total: receipt!.other });
});

test('its records have the time of the clock that it was given, which may go backwards', async () => {
  let now = 1_000;
  const log = new MemoryLog({ clock: { wall: () => now } }).records();
  for (now of [1_000.7, 900, 2_000]) await log.append('a');
  const times: number[] = [];
  for await (const { timestamp } of log.read()) times.push(timestamp);
  expect(times).toEqual([1_000, 1_000, 2_000]);
});

test('what is appended to it fails on demand, with what it says of its records', async () => {
  const log = new MemoryLog();
  const records = log.records();
  log.failNext('unknownLate');
  const late = { code: 'APPEND_UNKNOWN', outcome: 'unknown' };
  await expect(records.append('late', { key: 'l' })).rejects.toMatchObject(late);
  await records.append('next');
  const found: unknown[] = [];
  for await (const it of records.read()) found.push([it.text(), it.key]);
  expect(found).toEqual([
    ['next', undefined],
    ['late', 'l'],
  ]);
  log.disconnect();
  await expect(records.read()[Symbol.asyncIterator]().next()).rejects.toMatchObject({
    code: 'UNAVAILABLE',
  });
  const tail = records.tail({ from: 'start' })[Symbol.asyncIterator]().next();
  log.connect();
  expect((await tail).value.text()).toBe('next');
});

class Counter {
  value = 0;
  apply({ add }: { add: number }): number {
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

test("a test's fake timers do not stop a replica, nor do they give it another time", async () => {
  jest.useFakeTimers({ now: 0 });
  try {
    const log = new MemoryLog();
    const counter = await startReplica({ machine: new Counter(), log });
    const other = await startReplica({ machine: new Counter(), log });
    expect(await counter.execute({ add: 2 })).toBe(2);
    log.failNext('unknownApplied');
    expect(await counter.execute({ add: 3 })).toBe(5);
    expect(await other.query((it) => it.value)).toBe(5);
    await other.caughtUp();
    await counter.close();
    await other.close();
  } finally {
    jest.useRealTimers();
  }
});

test('what a test gives it by mistake is refused, and says what would be taken', async () => {
  const odd = (options: unknown) => new MemoryLog(options as object);
  expect(() => odd({ name: 'a' })).toThrow(/no option "name" of MemoryLog; .*identity/);
  expect(() => odd('a')).toThrow(/options of MemoryLog are the text "a"/);
  const log = new MemoryLog();
  for (const link of [undefined, {}, { clok: 1 }])
    expect(() => log.link(link as never)).toThrow(/INVALID_ARGUMENT: .*clock/);
  const link = log.link({ clock: new ManualClock() });
  for (const it of [log, link])
    for (const fault of ['unknown', ['refused'], undefined] as never[])
      expect(() => it.failNext('refused', fault)).toThrow(/choose among refused, unknownApplied/);
  for (const commands of ['text', ['text'], [{}]] as unknown as Uint8Array[][])
    await expect(log.append(commands)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('log.records().append'),
    });
  // None of the faults was kept.
  expect(await log.append([new Uint8Array(1)])).toBe(1);
});
