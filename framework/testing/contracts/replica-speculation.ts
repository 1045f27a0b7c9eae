import assert from 'node:assert/strict';
import type { Register } from './contract.ts';
import { add, PATIENT, start, sumOf } from './everything-replica.ts';
import type { LogUnderTest } from './ordered-log.ts';
import { asLockResult, type Command } from './replicated-machine.ts';

/** Answers that come before the log has decided. */
export function speculation(test: Register<LogUnderTest>): void {
  test('answers come before the log has their commands, and are confirmed or taken back once it has', async ({
    log,
  }) => {
    await using here = await start(log);
    await using there = await start(log);
    const events: string[] = [];
    here.speculations$.subscribe((it) => events.push(it.kind));
    await here.execute(add('a'));
    const calls = [2, 3, 4].map(() => here.speculate(add('a'), PATIENT));
    assert.equal(here.machine.sums.get('a'), 1);
    const tries = await Promise.all(calls);
    assert.deepEqual(
      tries.map((it) => it.tentative),
      [2, 3, 4],
    );
    assert.equal(await here.query((it) => it.sums.get('a'), { consistency: 'speculative' }), 4);
    // They were handed in before, at another replica: which of them come before it is for the log to say.
    await there.execute(add('a', 10));
    const settled = await Promise.all(tries.map((it) => it.settled));
    for (const [i, { kind, result }] of settled.entries())
      assert.equal(kind, result === tries[i]!.tentative ? 'confirmed' : 'rolledBack');
    assert.deepEqual(
      events,
      settled.map((it) => it.kind),
    );
    const { position } = settled[2]!;
    assert.ok((await sumOf(there, 'a', { atLeast: position }))! >= 4);
    assert.deepEqual([await sumOf(here, 'a'), await sumOf(there, 'a')], [14, 14]);
    const lock: Command = {
      op: 'lock',
      lock: { op: 'acquire', name: 'one', owner: 'here', ttlMs: 60_000 },
    };
    const locking = here.speculate(lock, PATIENT);
    assert.equal(here.machine.locks.get('one'), undefined);
    const held = await locking;
    assert.ok(asLockResult(held.tentative).done);
    assert.ok(asLockResult((await held.settled).result).done);
  });
}
