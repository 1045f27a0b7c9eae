import { firstValueFrom, type Observable } from 'rxjs';
import { sleep } from '../base/index.ts';
import { MemoryLog, World } from '../testing/index.ts';
import { Alarms, checkAlarms } from './alarms.fixture.ts';
import { type ReplicaStatus, startReplica } from './index.ts';
import { ReadOnlyLog } from './read-only-log.ts';

async function statusOf(replica: { readonly status$: Observable<ReplicaStatus> }) {
  return (await firstValueFrom(replica.status$)).timers;
}

test('a read-only replica applies and answers, and writes nothing whatever it is asked or is due', async () => {
  const world = new World(1, { guard: false });
  const tried = jest.spyOn(ReadOnlyLog.prototype, 'append');
  await world.play(async () => {
    const log = new MemoryLog();
    const reader = await startReplica({
      ...{ machine: new Alarms(), log, ports: world.ports('reader') },
      ...{ readOnly: true, checkEvery: 1 },
    });
    const refused = { code: 'FAILED_PRECONDITION', outcome: 'notAppended' };
    await expect(reader.execute({ op: 'stop', nth: 0 })).rejects.toMatchObject(refused);
    await expect(reader.snapshot()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const ports = world.ports('writer');
    const writer = await startReplica({ machine: new Alarms(), log, ports });
    await writer.execute({ op: 'set', ms: 1_000, again: 1 });
    expect(await reader.query((it) => it.notes.length)).toBe(1);
    await writer.close();
    const before = await log.tail();
    await sleep(ports.clock, 60_000);
    // An alarm is due, and there is nobody who may bring the log's time forward.
    expect(await log.tail()).toBe(before);
    expect(await statusOf(reader)).toMatchObject({ waiting: 1, lastLateMs: undefined });
    await using again = await startReplica({ machine: new Alarms(), log, ports });
    await sleep(ports.clock, 60_000);
    await Promise.all([again.caughtUp(), reader.caughtUp()]);
    expect(checkAlarms(reader.machine.notes)).toEqual({ problems: [], pending: 0 });
    expect(reader.machine.notes).toEqual(again.machine.notes);
    const late = { waiting: 0, nextAt: undefined, lastLateMs: expect.any(Number) };
    expect(await statusOf(reader)).toEqual(late);
    await reader.close();
    // By `execute` alone.
    expect(tried).toHaveBeenCalledTimes(1);
  }, 3_600_000);
  tried.mockRestore();
  world.close();
});
