import fc from 'fast-check';
import { sleep } from '../base/index.ts';
import { realClock } from '../runtime/index.ts';
import { MemoryLog } from '../testing/memory-log.ts';
import { type StateMachine, startReplica } from './index.ts';

/** Of an envelope, beside the command. */
const COMMAND_BYTES = 51;

class Counter implements StateMachine<{ add: number }, number, number> {
  value = 0;
  apply({ add }: { add: number }): number {
    if (add === 666) throw new Error('bug');
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

const faults = fc.array(
  fc.constantFrom('refused', 'unknownApplied', 'unknownLate', 'unknownLost'),
  {
    maxLength: 6,
  },
);

const small = fc.integer({ min: 1, max: 99 });
/** Some take more room than others. */
const addition = fc.oneof(
  small,
  small.map((it) => it * 1e15),
);

describe('replica', () => {
  test('a command takes effect once, whatever its appends suffer, across snapshots and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(faults, fc.integer({ min: 1, max: 5 }), async (injected, snapshotEvery) => {
        const log = new MemoryLog();
        let expected = 0;
        for (let start = 0; start < 2; start++) {
          await using counter = await startReplica({ machine: new Counter(), log, snapshotEvery });
          await using other = await startReplica({ machine: new Counter(), log, snapshotEvery });
          await counter.execute({ add: 1 });
          log.failNext(...injected);
          await Promise.all([1, 2, 3].map(() => counter.execute({ add: 1 })));
          await other.execute({ add: 1 });
          expected += 5;
          expect(await counter.query((it) => it.value)).toBe(expected);
          expect(await other.query((it) => it.value)).toBe(expected);
          await Promise.all([counter.caughtUp(), other.caughtUp()]);
        }
      }),
      { numRuns: 15 },
    );
  }, 60_000);

  test('what took effect in entries that were jumped over is not sent again when its session was closed there', async () => {
    const clock = realClock();
    const log = new MemoryLog();
    const link = log.link({ clock });
    const sessions = { sessionsMax: 1, idleMs: 3_600_000 };
    await using there = await startReplica({ machine: new Counter(), log, sessions });
    await using here = await startReplica({ machine: new Counter(), log: link, sessions });
    await here.caughtUp();
    // While the first entry is on its way to `here`, its command, the end of its session and a snapshot get into the log.
    link.followMs = 300;
    await there.execute({ add: 1 });
    const calls = [here.execute({ add: 10 }), here.execute({ add: 100 }, { requestId: 'once' })];
    while ((await there.query((it) => it.value)) < 111) await sleep(clock, 1);
    await there.execute({ add: 1 });
    await there.snapshot();
    link.followMs = 0;
    const settled = await Promise.allSettled(calls);
    expect(settled).toMatchObject([
      { status: 'rejected', reason: { code: 'SESSION_EXPIRED', outcome: 'unknown' } },
      { status: 'fulfilled', value: 111 },
    ]);
    expect(await there.query((it) => it.value)).toBe(112);
    expect(await here.query((it) => it.value)).toBe(112);
  });

  test('a retry whose first attempt arrives late takes effect once', async () => {
    const log = new MemoryLog();
    await using counter = await startReplica({ machine: new Counter(), log });
    await counter.execute({ add: 1 });
    log.failNext('unknownLate');
    expect(await counter.execute({ add: 1 })).toBe(2);
    expect(await counter.query((it) => it.value)).toBe(2);
    expect(await log.tail()).toBe(4);
  });

  test('a closed session is replaced when the command was sent once only', async () => {
    const sessions = { sessionsMax: 1, idleMs: 3_600_000 };
    const log = new MemoryLog();
    await using one = await startReplica({ machine: new Counter(), log, sessions });
    await using two = await startReplica({ machine: new Counter(), log, sessions });
    expect(await one.execute({ add: 1 })).toBe(1);
    expect(await two.execute({ add: 1 })).toBe(2);
    expect(await one.execute({ add: 1 })).toBe(3);
  });

  test('a machine that throws stops its replica with the position', async () => {
    await using counter = await startReplica({ machine: new Counter(), log: new MemoryLog() });
    await expect(counter.execute({ add: 666 })).rejects.toMatchObject({ code: 'APPLY_FAILED' });
    await expect(counter.execute({ add: 1 })).rejects.toMatchObject({ code: 'APPLY_FAILED' });
  });

  test('over the queue limit a command is refused for certain', async () => {
    const log = new MemoryLog();
    await using counter = await startReplica({ machine: new Counter(), log, queueBytesMax: 4 });
    const refused = { code: 'RESOURCE_EXHAUSTED', outcome: 'notAppended' };
    await expect(counter.execute({ add: 1 })).rejects.toMatchObject(refused);
  });

  test('whoever waits for room gets it in turn, and as much as fits into the queue may wait', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ add: addition, waits: fc.boolean() }), {
          minLength: 1,
          maxLength: 25,
        }),
        fc.integer({ min: 100, max: 500 }),
        async (commands, queueBytesMax) => {
          const log = new MemoryLog({ connected: false });
          await using counter = await startReplica({ machine: new Counter(), log, queueBytesMax });
          const order: number[] = [];
          counter.applied$.subscribe(({ command }) => order.push(command.add));
          const size = ({ add }: { add: number }): number =>
            COMMAND_BYTES + JSON.stringify({ add }).length;
          const [queue, line] = [{ bytes: 0 }, { bytes: 0 }];
          const expected: number[] = [];
          const calls = commands.map(({ add, waits }) => {
            const place =
              line.bytes === 0 && queue.bytes + size({ add }) <= queueBytesMax ? queue : line;
            const taken = place === queue || (waits && line.bytes + size({ add }) <= queueBytesMax);
            const executed = counter.execute({ add }, waits ? { whenFull: 'wait' } : {});
            if (!taken) {
              return expect(executed).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
            }
            place.bytes += size({ add });
            expected.push(add);
            return expect(executed).resolves.toBeDefined();
          });
          log.connect();
          await Promise.all(calls);
          expect(order).toEqual(expected);
        },
      ),
      { numRuns: 10 },
    );
  });

  test('nobody overtakes who waits for room, however little he needs', async () => {
    const log = new MemoryLog({ connected: false });
    await using counter = await startReplica({ machine: new Counter(), log, queueBytesMax: 140 });
    const order: number[] = [];
    counter.applied$.subscribe(({ command }) => order.push(command.add));
    const calls = [1e15, 2e15, 2].map((add) => counter.execute({ add }, { whenFull: 'wait' }));
    const refused = { code: 'RESOURCE_EXHAUSTED' };
    await expect(counter.execute({ add: 3 })).rejects.toMatchObject(refused);
    log.connect();
    await Promise.all(calls);
    expect(order).toEqual([1e15, 2e15, 2]);
  });

  test('whoever waits for room settles: out of time, aborted, or when the replica is closed', async () => {
    const log = new MemoryLog({ connected: false });
    const counter = await startReplica({ machine: new Counter(), log, queueBytesMax: 80 });
    const first = counter.execute({ add: 1 }).catch((it: unknown) => it);
    const aborting = new AbortController();
    const whenFull = 'wait' as const;
    const late = counter.execute({ add: 1 }, { whenFull, timeoutMs: 5 });
    await expect(late).rejects.toMatchObject({ code: 'TIMEOUT', outcome: 'notAppended' });
    const aborted = counter.execute({ add: 1 }, { whenFull, signal: aborting.signal });
    aborting.abort(new Error('no more'));
    await expect(aborted).rejects.toThrow('no more');
    const closed = counter.execute({ add: 1 }, { whenFull }).catch((it: unknown) => it);
    await counter.close();
    for (const it of [first, closed])
      expect(await it).toMatchObject({ code: 'CLOSED', outcome: 'notAppended' });
  });
});
