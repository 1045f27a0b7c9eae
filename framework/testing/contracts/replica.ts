import assert from 'node:assert/strict';
import { filter, firstValueFrom, map } from 'rxjs';
import type { VarlogError } from '../../base/index.ts';
import { DiskSnapshotStore } from '../../smr/disk-snapshot-store.ts';
import {
  electLeader,
  replay,
  runEffects,
  skipCommand,
  startFork,
  startReplica,
  startShadow,
  startShards,
  TransactionMachine,
  transactions,
  why,
} from '../../smr/index.ts';
import { SimulatedDisk } from '../simulator/disk.ts';
import { SeededRandom } from '../simulator/random.ts';
import { type ContractTest, contractTests } from './contract.ts';
import { add, type EverythingReplica, PATIENT, start, sumOf } from './everything-replica.ts';
import { Lacks, type OptionalLogMethod } from './lacks.ts';
import type { LogUnderTest } from './ordered-log.ts';
import { speculation } from './replica-speculation.ts';
import { asLockResult, type Command, Everything, Wayward } from './replicated-machine.ts';

/** So many commands are enough for a snapshot, or a check, to be due. */
const MANY = 30;

/** Resolves when a machine, as it is after some command, is as wanted. */
const until = (replica: EverythingReplica, isWanted: (it: Everything) => boolean) =>
  firstValueFrom(replica.state$.pipe(filter(isWanted)));

export interface ReplicaContractOptions {
  /**
   * The optional methods that the log does not have. Tests that would use them do without, and say so in their titles; one
   * test fails where the log has another set of methods. Default: none.
   */
  lacks?: readonly OptionalLogMethod[];
}

/**
 * What replicas of a machine do on a log: all that the runtime offers, on any log that keeps `orderedLogContract`. The tests take
 * real time, some hundred milliseconds each.
 *
 * ```ts
 * for (const { title, run } of replicaContract(makeLog, { lacks: ['trim'] })) test(title, run);
 * ```
 */
export function replicaContract(
  make: () => Promise<LogUnderTest>,
  { lacks: lacking = [] }: ReplicaContractOptions = {},
): ContractTest[] {
  const lacks = new Lacks(lacking);
  return contractTests(make, (test) => {
    lacks.test(test);

    test('commands of one replica take effect in the order of the calls, at all of them', async ({
      log,
    }) => {
      await using here = await start(log);
      await using there = await start(log);
      const sums = await Promise.all(Array.from({ length: 50 }, () => here.execute(add('a'))));
      assert.deepEqual(
        sums,
        sums.map((_, i) => i + 1),
      );
      assert.equal(await sumOf(there, 'a'), 50);
    });

    test('a request takes effect once, wherever and however often it is repeated', async ({
      log,
    }) => {
      await using here = await start(log);
      await using there = await start(log);
      const once = { ...PATIENT, requestId: 'once' };
      const results = await Promise.all([
        here.execute(add('a', 7), once),
        there.execute(add('a', 7), once),
      ]);
      assert.deepEqual(results, [7, 7]);
      assert.equal(await there.execute(add('a', 7), once), 7);
      await assert.rejects(there.execute(add('b'), once), { code: 'REQUEST_MISMATCH' });
    });

    test('queries see as much as they ask for', async ({ log }) => {
      await using here = await start(log);
      await using there = await start(log);
      await here.execute(add('a', 3));
      const { position } = here;
      assert.equal(await sumOf(there, 'a', { atLeast: position }), 3);
      assert.equal(await sumOf(there, 'a'), 3);
      assert.equal(await sumOf(there, 'a', { maxStalenessMs: 1_000 }), 3);
      assert.equal(await sumOf(there, 'a', 'stale'), 3);
      const never = there.query((it) => it, {
        timeoutMs: 100,
        consistency: { atLeast: position + 1_000_000 },
      });
      await assert.rejects(never, { code: 'TIMEOUT' });
    });

    speculation(test);

    const restart =
      'a replica that was closed goes on from its snapshot, and one without begins with it or at the head';
    test(lacks.titled(restart, ['compact', 'hold', 'trim']), async ({ log }) => {
      const disk = new SimulatedDisk({ random: new SeededRandom(1) });
      const options = {
        ...(!lacks.has('compact') && { snapshots: new DiskSnapshotStore(disk) }),
        snapshotEvery: MANY / 3,
        trimLog: lacks.has('trim'),
      };
      const first = await start(log, options);
      for (let i = 0; i < MANY; i++) await first.execute(add(`key ${i % 3}`));
      await first.execute({ op: 'later', inMs: 3_600_000, key: 'late', by: 1 });
      const kept = await first.snapshot(PATIENT);
      assert.ok(kept >= MANY);
      await first.close();
      await using again = await start(log, options);
      assert.equal(await sumOf(again, 'key 0'), MANY / 3);
      const { timers } = await firstValueFrom(again.status$);
      assert.equal(timers.waiting, 1);
      await again.execute(add('key 0'));
      assert.equal(await sumOf(again, 'key 0'), MANY / 3 + 1);
    });

    test('a timer is applied at all replicas at one place, also after a restart', async ({
      log,
    }) => {
      const first = await start(log);
      assert.equal(await first.execute({ op: 'later', inMs: 300, key: 'a', by: 5 }), 1);
      await first.close();
      const fired = async (replica: EverythingReplica): Promise<number> => {
        const found = await firstValueFrom(replica.applied$.pipe(filter((it) => it.timer === 1)));
        return found.position;
      };
      await using here = await start(log);
      await using there = await start(log);
      const [one, other] = await Promise.all([fired(here), fired(there)]);
      assert.equal(one, other);
      assert.equal(await sumOf(there, 'a'), 5);
    });

    test('changes are the same at every replica, and are gone on with by position', async ({
      log,
    }) => {
      await using here = await start(log);
      await using there = await start(log);
      const read = async (from: EverythingReplica, begin: number, count: number) => {
        const found: { position: number; changes: readonly unknown[] }[] = [];
        for await (const it of from.changes({ from: begin })) {
          if (it.kind === 'changes') found.push({ position: it.position, changes: it.changes });
          if (found.length === count) break;
        }
        return found;
      };
      for (let i = 1; i <= 3; i++) await here.execute(add('a'));
      const all = await read(here, 1, 3);
      assert.deepEqual(await read(there, 1, 3), all);
      assert.deepEqual(
        all.map((it) => it.changes),
        [1, 2, 3].map((sum) => [{ key: 'a', sum }]),
      );
      assert.deepEqual(await read(there, all[0]!.position + 1, 2), all.slice(1));
    });

    test('rules are raised by an entry, for all at once', async ({ log }) => {
      await using here = await start(log);
      await using there = await start(log);
      assert.equal(await here.execute(add('a')), 1);
      assert.equal(await there.upgradeTo(2, PATIENT), 2);
      assert.equal(await there.execute(add('a')), 3);
      assert.equal(await sumOf(here, 'a'), 3);
      await assert.rejects(here.upgradeTo(3, PATIENT), { code: 'INVALID_ARGUMENT' });
    });

    test('a command that no replica can apply stops them, and is passed over by order', async ({
      log,
    }) => {
      const broken = await start(log);
      await broken.execute(add('a'));
      const failed = await broken.execute({ op: 'break' }).then(
        () => assert.fail('it was applied'),
        (error: VarlogError) => error,
      );
      assert.equal(failed.code, 'APPLY_FAILED');
      await broken.close();
      const { position } = failed.details as { position: number };
      await skipCommand(log, position, PATIENT);
      await using again = await start(log);
      assert.equal(await again.execute(add('a')), 2);
    });

    test('a replica that only reads follows, answers and writes nothing', async ({ log }) => {
      await using writer = await start(log);
      await using reader = await start(log, { readOnly: true });
      await writer.execute(add('a'));
      assert.equal(await sumOf(reader, 'a'), 1);
      await assert.rejects(reader.execute(add('a')), { code: 'FAILED_PRECONDITION' });
      await assert.rejects(reader.upgradeTo(2), { code: 'FAILED_PRECONDITION' });
    });

    test('of replicas whose states differ those stop that do not have that of most', async ({
      log,
    }) => {
      const checkEvery = 5;
      await using here = await start(log, { checkEvery });
      await using there = await start(log, { checkEvery });
      await using wayward = await start(log, { checkEvery, machine: new Wayward(3) });
      const stopped = firstValueFrom(wayward.status$.pipe(filter((it) => it.state === 'failed')));
      let isOver = false;
      const work = (async () => {
        while (!isOver) await here.execute(add('a'));
      })();
      assert.equal(((await stopped).error as VarlogError).code, 'STATE_DIVERGED');
      isOver = true;
      await work;
      assert.equal(await sumOf(there, 'a'), await sumOf(here, 'a'));
    });

    test('locks have one holder and growing tokens; one candidate leads, and another after it', async ({
      log,
    }) => {
      await using here = await start(log);
      await using there = await start(log);
      const candidate = (replica: EverythingReplica, owner: string) =>
        electLeader({
          replica,
          owner,
          name: 'leader',
          ttlMs: 2_000,
          locks: (it) => it.locks,
          command: (lock): Command => ({ op: 'lock', lock }),
          result: asLockResult,
        });
      const leads = (it: ReturnType<typeof candidate>) =>
        firstValueFrom(it.leadership$.pipe(filter((leadership) => leadership !== undefined)));
      const first = candidate(here, 'first');
      const { token, signal } = await leads(first);
      const second = candidate(there, 'second');
      const owner = second.leader$.pipe(map((it) => it?.owner));
      assert.equal(await firstValueFrom(owner.pipe(filter((it) => it !== undefined))), 'first');
      await first.resign();
      assert.ok(signal.aborted);
      const next = await leads(second);
      assert.ok(next.token > token, `token ${next.token} after ${token}`);
      await second.resign();
    });

    test('an effect of the outbox is done by who leads, and again under its key where that is not known', async ({
      log,
    }) => {
      await using here = await start(log);
      await using there = await start(log);
      const done: string[] = [];
      const keys = new Set<string>();
      const runner = async (replica: EverythingReplica, owner: string, tries: number) => {
        const election = electLeader({
          replica,
          owner,
          name: 'mail',
          ttlMs: 2_000,
          locks: (it) => it.locks,
          command: (lock): Command => ({ op: 'lock', lock }),
          result: asLockResult,
        });
        const options = {
          replica,
          outbox: (it: Everything) => it.outbox,
          acknowledge: (key: string): Command => ({ op: 'sent', key }),
          leadership$: election.leadership$,
        };
        let left = tries;
        const running = runEffects(options, async (mail, { key }) => {
          if (left-- > 0) throw new Error('not now');
          keys.add(key);
          done.push(mail);
        });
        return async () => {
          await running.close();
          await election.resign();
        };
      };
      const stop = await runner(here, 'first', 1);
      await there.execute({ op: 'send', mail: 'hello' });
      await here.caughtUp(PATIENT);
      await until(here, (it) => it.outbox.size === 0);
      await stop();
      await here.execute({ op: 'send', mail: 'world' });
      const stopOther = await runner(there, 'second', 0);
      await there.caughtUp(PATIENT);
      await until(there, (it) => it.outbox.size === 0);
      await stopOther();
      assert.deepEqual(done, ['hello', 'world']);
      assert.equal(keys.size, 2);
    });

    test('transactions of two replicas lose no update', async ({ log }) => {
      const open = () => startReplica({ machine: new TransactionMachine(), log, name: 'pairs' });
      await using here = await open();
      await using there = await open();
      const stores = [transactions(here), transactions(there)];
      await Promise.all(
        Array.from({ length: 10 }, (_, i) =>
          stores[i % 2]!.transact(async (transaction) => {
            const count = Number((await transaction.get('count')) ?? 0);
            transaction.put('count', String(count + 1));
          }),
        ),
      );
      const count = await stores[0]!.transact((transaction) => transaction.get('count'));
      assert.equal(count, '10');
    });

    test('several machines share a log, and none sees the commands of another', async ({ log }) => {
      await using one = await start(log, { name: 'one' });
      await using two = await start(log, { name: 'two' });
      await one.execute(add('a'));
      await two.execute(add('a', 10));
      assert.deepEqual([await sumOf(one, 'a'), await sumOf(two, 'a')], [1, 10]);
      const { foreign } = await firstValueFrom(one.status$);
      assert.ok(foreign >= 1);
      const shards = startShards({
        logs: [log],
        machine: () => new Everything(),
        keyOf: () => 'a',
        callTimeoutMs: PATIENT.timeoutMs,
      });
      await assert.rejects(shards, { code: 'FAILED_PRECONDITION' });
    });

    test('what is in the log is replayed, and says why a value is what it is', async ({ log }) => {
      const writer = await start(log);
      for (const by of [1, 2]) await writer.execute(add('a', by));
      await writer.execute(add('b'));
      await writer.close();
      const machine = { make: () => new Everything() };
      const same = await replay({ log, machine, against: machine });
      assert.deepEqual([same.commands, same.difference], [3, undefined]);
      const other = { make: () => new Wayward(2) };
      const { difference } = await replay({ log, machine: other, against: machine });
      assert.equal(difference?.kind, 'state');
      const values: unknown[] = [];
      for await (const it of why({ log, machine, key: 'a' })) values.push(it.value);
      assert.deepEqual(values, [1, 3]);
    });

    test('a new version runs beside the old one on what is appended, and a fork goes on by itself', async ({
      log,
    }) => {
      await using writer = await start(log);
      await writer.execute(add('a'));
      const machine = { make: () => new Everything() };
      await using same = await startShadow({ log, machine, against: machine });
      const other = { make: () => new Wayward(2) };
      const both = { log, machine: other, against: machine };
      await using differs = await startShadow({ ...both, stateEvery: 1 });
      await using fork = await startFork({ log, machine: new Everything() });
      await fork.execute(add('a', 10));
      await writer.execute(add('a', 2));
      await writer.execute(add('a', 3));
      const tail = writer.position;
      const ended = differs.status$.pipe(filter((it) => it.state === 'differs'));
      const { difference } = await firstValueFrom(ended);
      assert.deepEqual([difference?.kind, difference?.position], ['state', tail]);
      await firstValueFrom(same.status$.pipe(filter((it) => it.position >= tail)));
      assert.equal(await same.compare(), undefined);
      assert.deepEqual([await sumOf(fork, 'a'), await sumOf(writer, 'a')], [11, 6]);
    });

    test('who gives up waits no longer, and a replica that is closed settles all that was asked of it', async ({
      log,
    }) => {
      const replica = await start(log);
      await replica.execute(add('a'));
      const reason = new Error('gave up');
      await assert.rejects(replica.execute(add('a'), { signal: AbortSignal.abort(reason) }), {
        message: 'gave up',
      });
      const calls = [replica.execute(add('a')), replica.execute(add('a'))];
      const closing = replica.close();
      const settled = await Promise.allSettled(calls);
      assert.equal(settled.length, 2);
      await closing;
      await assert.rejects(replica.execute(add('a')), { code: 'CLOSED' });
      await assert.rejects(sumOf(replica, 'a'), { code: 'CLOSED' });
    });
  });
}
