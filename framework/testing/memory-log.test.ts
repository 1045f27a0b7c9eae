import { startReplica } from '../smr/index.ts';
import { orderedLogContract } from './contracts/index.ts';
import { MemoryLog } from './memory-log.ts';

describe('a log in memory keeps the contract of all ordered logs', () => {
  const tests = orderedLogContract(async () => ({ log: new MemoryLog(), close: async () => {} }));
  for (const { title, run } of tests) test(title, run);
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
