import { startReplica } from '../smr/index.ts';
import { orderedLogContract, producerContract } from './contracts/index.ts';
import { MemoryLog } from './memory-log.ts';

describe('a log in memory keeps the contract of all ordered logs', () => {
  const tests = orderedLogContract(async () => ({ log: new MemoryLog(), close: async () => {} }));
  for (const { title, run } of tests) test(title, run);
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
