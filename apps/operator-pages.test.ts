import { VarlogError } from 'varlog/log';
import { listen, stopListening } from 'varlog/node';
import { type SnapshotStore, startReplica } from 'varlog/smr';
import { MemoryLog } from 'varlog/testing';
import { serveRoutes } from './http.ts';
import { operatorPages } from './operator-pages.ts';
import { type Observed, Readiness, type ReadinessLimits } from './readiness.ts';

async function serve(
  replica: Observed,
  limits?: Partial<ReadinessLimits>,
  other?: () => Promise<void>,
) {
  const pages = operatorPages('app', new Readiness(replica, limits, other), {
    height: { help: 'How high', value: () => 17 },
  });
  const server = serveRoutes(pages);
  const address = await listen(server, '127.0.0.1:0');
  return {
    ask: async (path: string): Promise<[number, string]> => {
      const reply = await fetch(`http://${address}${path}`);
      return [reply.status, await reply.text()];
    },
    [Symbol.asyncDispose]: () => stopListening(server),
  };
}

class Nothing {
  apply(): number {
    return 0;
  }
  snapshot(): number {
    return 0;
  }
  restore(): void {}
}

describe('the pages for operators', () => {
  test('a replica that follows its log is ready, and one that is closed is not', async () => {
    const replica = await startReplica({ machine: new Nothing(), log: new MemoryLog() });
    await using it = await serve(replica);
    expect(await it.ask('/livez')).toEqual([200, 'alive\n']);
    expect(await it.ask('/readyz')).toEqual([200, 'ready\n']);
    const [status, metrics] = await it.ask('/metrics');
    expect(status).toBe(200);
    expect(metrics).toContain('\napp_height 17\n');
    expect(metrics).toContain('\napp_replica_failed 0\n');
    expect(metrics).toContain('process_resident_memory_bytes');
    expect((await it.ask('/nothing'))[0]).toBe(404);
    await replica.close();
    expect(await it.ask('/readyz')).toEqual([503, 'the replica is closed\n']);
  });

  test('one that needs something else beside its log is not ready without it, and says why', async () => {
    await using replica = await startReplica({ machine: new Nothing(), log: new MemoryLog() });
    let answers = false;
    await using it = await serve(replica, {}, async () => {
      if (!answers) throw new Error('the database is gone');
    });
    expect(await it.ask('/readyz')).toEqual([503, 'the database is gone\n']);
    answers = true;
    expect(await it.ask('/readyz')).toEqual([200, 'ready\n']);
  });

  test('one whose log does not answer is not ready, and says so in time', async () => {
    const log = new MemoryLog();
    const replica = await startReplica({ machine: new Nothing(), log });
    log.tail = () => new Promise(() => {});
    await using it = await serve(replica, { levelMs: 50 });
    const [status, why] = await it.ask('/readyz');
    expect(status).toBe(503);
    expect(why).toMatch(/the log does not answer, or this replica is behind it: TIMEOUT/);
    expect(await it.ask('/livez')).toEqual([200, 'alive\n']);
    await replica.close();
  });

  test('one that has failed is neither ready nor alive, and says why', async () => {
    const log = new MemoryLog();
    log.follow = () => {
      throw new VarlogError('CORRUPT', { what: 'the log is damaged' });
    };
    const replica = await startReplica({ machine: new Nothing(), log });
    await using it = await serve(replica);
    const [status, why] = await it.ask('/readyz');
    expect([status, why]).toEqual([503, expect.stringContaining('CORRUPT: the log is damaged')]);
    expect((await it.ask('/livez'))[0]).toBe(503);
    expect((await it.ask('/metrics'))[1]).toContain('\napp_replica_failed 1\n');
  });

  test('one that keeps no snapshot for long is not ready until it does again', async () => {
    let full = true;
    const snapshots: SnapshotStore = {
      load: async () => undefined,
      save: async (position) => {
        if (full) throw new VarlogError('DISK_FULL', { what: 'no space is left' });
        return position;
      },
    };
    const replica = await startReplica({
      machine: new Nothing(),
      log: new MemoryLog(),
      snapshots,
      snapshotEvery: 1,
    });
    await using it = await serve(replica, { snapshotMs: 0 });
    const until = async (answer: number): Promise<string> => {
      for (;;) {
        await replica.execute(0);
        const [status, text] = await it.ask('/readyz');
        if (status === answer) return text;
      }
    };
    expect(await until(503)).toMatch(/no snapshot was kept for .* DISK_FULL: no space is left/);
    expect((await it.ask('/metrics'))[1]).toContain('\napp_snapshot_failing 1\n');
    full = false;
    expect(await until(200)).toBe('ready\n');
    expect((await it.ask('/metrics'))[1]).toContain('\napp_snapshot_failing 0\n');
    await replica.close();
  });
});
