import assert from 'node:assert/strict';
import { json, record, text } from '../../log/index.ts';
import { type ContractTest, contractTests } from './contract.ts';
import { atomicAppends } from './record-log-atomic.ts';
import { conditionalAppends } from './record-log-conditions.ts';
import { consumersOfRecords } from './record-log-consumers.ts';
import { observedRecords, readsOfRecords } from './record-log-reads.ts';
import type { RecordLogUnderTest } from './record-log-under-test.ts';
import { all, shown } from './taken-entries.ts';

/**
 * What every `RecordLog` owes its users: a topic, and the log in memory that stands for one in tests. `make` gives a
 * new, empty log.
 *
 * ```ts
 * for (const { title, run } of recordLogContract(makeLog)) test(title, run);
 * ```
 */
export function recordLogContract(make: () => Promise<RecordLogUnderTest>): ContractTest[] {
  return contractTests(make, (test) => {
    test('key and headers of the call are of each record that has none of its own', async ({
      log,
    }) => {
      const own = record('b', {
        key: 'own',
        headers: [
          ['x', '1'],
          ['x', new Uint8Array([2])],
        ],
      });
      await log.append(['a', own, record('c', {})], { key: 'all', headers: { y: '3' } });
      await log.append('d');
      assert.deepEqual((await all(log.read())).map(shown), [
        ['a', 'all', [['y', '3']]],
        [
          'b',
          'own',
          [
            ['x', '1'],
            ['x', '\u0002'],
          ],
        ],
        ['c', undefined, []],
        ['d', undefined, []],
      ]);
    });

    test('a header without a name is refused for certain, and all of its batch', async ({
      log,
    }) => {
      const bad = record('b', { headers: { '': 'x' } });
      const refused = { code: 'INVALID_ARGUMENT', outcome: 'notAppended' };
      await assert.rejects(log.append(['a', bad]), refused);
      await assert.rejects(log.append([]), { code: 'EMPTY_BATCH', outcome: 'notAppended' });
      assert.deepEqual(await all(log.read()), []);
    });

    test('an acknowledgement says where the batch is', async ({ log }) => {
      const one = await log.append(['a', 'b']);
      const two = await log.append('c');
      assert.deepEqual([one.count, two.count], [2, 1]);
      assert.ok(two.glsn >= one.glsn + 2, `${two.glsn} comes after two records at ${one.glsn}`);
      const [a, b, c] = await all(log.read());
      assert.deepEqual([a!.glsn, b!.glsn, c!.glsn], [one.glsn, one.glsn + 1, two.glsn]);
      assert.deepEqual([a!.llsn, a!.logStream], [one.llsn, one.logStream]);
    });

    test('an acknowledgement tells where the time went when that is asked for, and not otherwise', async ({
      log,
    }) => {
      const { receipt } = await log.append(['a', 'b'], { receipt: true });
      const { total, ...parts } = receipt!;
      for (const [name, ms] of Object.entries(parts)) assert.ok(ms >= 0, `${name} took ${ms} ms`);
      const sum = Object.values(parts).reduce((so, ms) => so + ms, 0);
      assert.ok(Math.abs(total - sum) < 1e-6, `${sum} of ${total} ms are named`);
      assert.equal('receipt' in (await log.append('c')), false);
      assert.equal('receipt' in (await log.append('d', { receipt: false })), false);
      const bad = log.append('e', { receipt: 'yes' as unknown as boolean });
      await assert.rejects(bad, { code: 'INVALID_ARGUMENT', outcome: 'notAppended' });
      assert.equal((await all(log.read())).length, 4);
    });

    test('timestamps do not fall within a log stream', async ({ log }) => {
      for (let i = 0; i < 10; i++) await log.append(`${i}`);
      const last = new Map<number, number>();
      for (const { logStream, timestamp } of await all(log.read())) {
        const before = last.get(logStream) ?? 0;
        assert.ok(timestamp >= before, `${timestamp} comes after ${before}`);
        last.set(logStream, timestamp);
      }
    });

    test('what is no time, no position and no range is refused at the call', async ({ log }) => {
      for (const time of [Number.NaN, Infinity, 'now' as never, undefined as never]) {
        assert.throws(() => log.read({ from: { time } }), { code: 'INVALID_ARGUMENT' });
        assert.throws(() => log.tail({ from: { time } }), { code: 'INVALID_ARGUMENT' });
      }
      assert.throws(() => log.read({ from: 0 }), { code: 'POSITION_OUT_OF_RANGE' });
      assert.throws(() => log.read({ from: 3, to: 2 }), { code: 'INVALID_ARGUMENT' });
      await assert.rejects(all(log.read({ from: 9 })), { code: 'BEYOND_TAIL' });
    });

    test('a part of a batch is what was said of it', async ({ log }) => {
      const keys = ['a', 'b', 'c', 'd'];
      const { glsn } = await log.append(keys.map((key) => record(key, { key })));
      const part = await all(log.read({ from: glsn + 1, to: glsn + 2 }));
      assert.deepEqual(
        part.map((it) => it.key),
        ['b', 'c'],
      );
      const { resumeToken } = part[1]!;
      assert.deepEqual((await all(log.read({ from: resumeToken }))).map(shown), [['d', 'd', []]]);
    });

    test('values go through the codec, in both directions', async ({ as, log }) => {
      const numbers = as({ codec: json<{ n: number }>() });
      await numbers.append([{ n: 1 }, record({ n: 2 }, { key: 'two' })]);
      const found = await all(numbers.read());
      assert.deepEqual(
        found.map((it) => [it.value.n, it.key]),
        [
          [1, undefined],
          [2, 'two'],
        ],
      );
      assert.deepEqual(
        (await all(log.read())).map((it) => it.text()),
        ['{"n":1}', '{"n":2}'],
      );
      assert.deepEqual((await all(as({ codec: text }).read()))[0]!.value, '{"n":1}');
    });

    test('a producer appends what the log takes, with key and headers, each once', async ({
      as,
      log,
    }) => {
      const producer = await as({ codec: json<{ n: number }>() }).producer({ id: 7 });
      const one = await producer.append({ n: 1 }, { key: 'k', headers: { x: '1' } });
      const two = await producer.append([record({ n: 2 }, { key: 'own' }), { n: 3 }]);
      assert.deepEqual([one.sequence, two.sequence, two.count], [0, 1, 2]);
      const entries = await all(log.read());
      assert.deepEqual(entries.map(shown), [
        ['{"n":1}', 'k', [['x', '1']]],
        ['{"n":2}', 'own', []],
        ['{"n":3}', undefined, []],
      ]);
      assert.deepEqual([entries[1]!.glsn, entries[1]!.logStream], [two.glsn, producer.logStream]);
      producer.close();
      await assert.rejects(producer.append({ n: 4 }), { code: 'CLOSED' });
    });

    test('what the codec does not take ends the reading, is skipped, or passes', async ({
      as,
      log,
    }) => {
      const { glsn } = await log.append(['1', 'no number', '3']);
      const failed = { code: 'DECODE_FAILED' as const };
      const seen: number[] = [];
      const codec = json<number>();
      const reading = async () => {
        for await (const { value } of as({ codec }).read()) seen.push(value);
      };
      await assert.rejects(reading, (error: { code: string; details: { glsn: number } }) => {
        assert.deepEqual([error.code, error.details.glsn], [failed.code, glsn + 1]);
        return true;
      });
      assert.deepEqual(seen, [1]);
      const skipped = await all(as({ codec, onDecodeError: 'skip' }).read());
      assert.deepEqual(
        skipped.map((it) => it.value),
        [1, 3],
      );
      const passed = await all(as({ codec, onDecodeError: 'pass' }).read());
      assert.deepEqual(
        passed.map((it) => it.decodeError?.code ?? it.value),
        [1, failed.code, 3],
      );
      assert.throws(() => passed[1]!.value, failed);
    });

    atomicAppends(test);
    conditionalAppends(test);
    readsOfRecords(test);
    observedRecords(test);
    consumersOfRecords(test);
  });
}
