import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { filter, firstValueFrom, lastValueFrom } from 'rxjs';
import { VarlogError } from '../base/index.ts';
import { MemoryLog } from '../testing/memory-log.ts';
import { type ReplicaStatus, type StateMachine, snapshotDirectory, startReplica } from './index.ts';

class Sum implements StateMachine<number, number, number> {
  value = 0;
  /** Makes `snapshot` throw. */
  broken = false;
  apply(add: number): number {
    if (add < 0) throw new Error('a bug');
    this.value += add;
    return this.value;
  }
  snapshot(): number {
    if (this.broken) throw new RangeError('Invalid string length');
    return this.value;
  }
  restore(value: number): void {
    this.value = value;
  }
}

const sumOf = (it: Sum): number => it.value;
const now = (it: { status$: Parameters<typeof firstValueFrom<ReplicaStatus>>[0] }) =>
  firstValueFrom(it.status$);

describe('how a replica fares', () => {
  test('a log that does not answer is not `running`, with the reason; and again when it does', async () => {
    const log = new MemoryLog({ connected: false });
    await using sum = await startReplica({ machine: new Sum(), log });
    const why = await firstValueFrom(sum.status$.pipe(filter((it) => it.error !== undefined)));
    expect(why).toMatchObject({ state: 'connecting', error: { code: 'UNAVAILABLE' } });
    log.connect();
    expect(await sum.execute(1)).toBe(1);
    expect((await now(sum)).state).toBe('running');
    log.disconnect();
    const call = sum.execute(1, { timeoutMs: 100 });
    await expect(call).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect(await now(sum)).toMatchObject({ state: 'connecting', error: { code: 'UNAVAILABLE' } });
    log.connect();
    expect(await sum.query(sumOf)).toBeGreaterThan(0);
    const { error, state } = await now(sum);
    expect([error, state]).toEqual([undefined, 'running']);
  });

  test('every call settles without a limit of its own', async () => {
    const log = new MemoryLog();
    await using sum = await startReplica({ machine: new Sum(), log, callTimeoutMs: 50 });
    await sum.execute(1);
    log.disconnect();
    const consistency = { atLeast: 1_000 };
    const calls = [
      sum.execute(1),
      sum.query(sumOf),
      sum.caughtUp(),
      sum.query(sumOf, { consistency }),
      sum.execute(1, { timeoutMs: 20 }),
    ];
    for (const it of await Promise.allSettled(calls))
      expect(it).toMatchObject({ reason: { code: 'TIMEOUT' } });
    expect(await sum.query(sumOf, { consistency: 'stale' })).toBe(1);
  });

  test('whoever looks late learns that it failed, nothing is served, and the log is told', async () => {
    const reasons: string[] = [];
    const log = Object.assign(new MemoryLog(), {
      resign: (reason: string) => void reasons.push(reason),
    });
    await using sum = await startReplica({ machine: new Sum(), log });
    await expect(sum.execute(-1)).rejects.toMatchObject({ code: 'APPLY_FAILED' });
    expect(await lastValueFrom(sum.status$)).toMatchObject({
      state: 'failed',
      error: { code: 'APPLY_FAILED' },
    });
    const failed = { code: 'APPLY_FAILED' };
    await expect(lastValueFrom(sum.state$)).rejects.toMatchObject(failed);
    await expect(lastValueFrom(sum.applied$)).rejects.toMatchObject(failed);
    for (const consistency of ['stale', 'linearizable'] as const)
      await expect(sum.query(sumOf, { consistency })).rejects.toMatchObject(failed);
    expect(reasons).toEqual([expect.stringContaining('APPLY_FAILED')]);
  });

  test('whoever looks late learns that it was closed', async () => {
    const sum = await startReplica({ machine: new Sum(), log: new MemoryLog() });
    await sum.execute(1);
    await sum.close();
    expect(await lastValueFrom(sum.status$)).toMatchObject({ state: 'closed', position: 2 });
    expect((await lastValueFrom(sum.state$)).value).toBe(1);
  });

  test('a snapshot that fails is told, tried again, and stops nothing', async () => {
    let nowMs = 0;
    const clock = { ...realEnough, now: () => nowMs };
    const ports = { clock, random: { fraction: () => 0.5, below: () => 0, id: () => 'x' } };
    const log = new MemoryLog();
    const machine = new Sum();
    const { compact } = log;
    let full = false;
    log.compact = async (...given) => {
      if (full) throw new VarlogError('DISK_FULL', { what: 'no space' });
      return compact.apply(log, given);
    };
    await using sum = await startReplica({ machine, log, snapshotEvery: 2, ports });
    machine.broken = true;
    for (let i = 0; i < 4; i++) await sum.execute(1);
    const broken = await now(sum);
    expect(broken).toMatchObject({ state: 'running', snapshotPosition: 0 });
    expect(broken.snapshotError).toBeInstanceOf(RangeError);
    machine.broken = false;
    full = true;
    nowMs += 1_000;
    await sum.execute(1);
    await firstValueFrom(sum.status$.pipe(filter((it) => VarlogError.is(it.snapshotError))));
    full = false;
    nowMs += 2_000;
    await sum.execute(1);
    const kept = await firstValueFrom(sum.status$.pipe(filter((it) => it.snapshotPosition > 0)));
    expect(kept.snapshotError).toBeUndefined();
    expect(await sum.execute(1)).toBe(7);
  });

  test('a machine that answers with a promise is refused by name', async () => {
    const machine = { ...new Sum(), apply: async () => 1, snapshot: () => 0, restore: () => {} };
    await using replica = await startReplica({ machine, log: new MemoryLog() });
    await expect(replica.execute(1)).rejects.toMatchObject({
      code: 'APPLY_FAILED',
      cause: { message: expect.stringContaining('promise') },
    });
  });

  test('one folder of snapshots serves one replica at a time', async () => {
    const path = await mkdtemp(join(tmpdir(), 'snapshot-'));
    try {
      const log = new MemoryLog();
      const options = { log, snapshots: snapshotDirectory(path) };
      const first = await startReplica({ machine: new Sum(), ...options });
      const second = startReplica({ machine: new Sum(), ...options });
      await expect(second).rejects.toMatchObject({ code: 'DIRECTORY_IN_USE' });
      await expect(first.execute(-1)).rejects.toMatchObject({ code: 'APPLY_FAILED' });
      await first.close();
      const third = await startReplica({
        machine: new Sum(),
        log: new MemoryLog(),
        snapshots: snapshotDirectory(path),
      });
      expect(await third.execute(1)).toBe(1);
      await third.close();
    } finally {
      await rm(path, { recursive: true });
    }
  });

  test('a burst of tiny commands leaves in appends that the log takes', async () => {
    const sizes: number[] = [];
    const log = new MemoryLog();
    const { append } = log;
    log.append = (commands, options) => {
      sizes.push(commands.reduce((sum, it) => sum + it.length + 4, 0));
      return append.call(log, commands, options);
    };
    const queueBytesMax = 1e9;
    await using sum = await startReplica({ machine: new Sum(), log, queueBytesMax });
    await Promise.all(Array.from({ length: 40_000 }, () => sum.execute(1)));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1024 * 1024);
    expect(sizes.length).toBeLessThan(100);
    expect(await sum.query(sumOf)).toBe(40_000);
  }, 60_000);
});

/** Real timers; only the time that is measured is the test's. */
const realEnough = {
  wall: () => 1e12,
  after: (ms: number, ring: () => void) => {
    const timeout = setTimeout(ring, ms);
    return { cancel: () => clearTimeout(timeout) };
  },
  defer: (run: () => void) => void setImmediate(run),
};
