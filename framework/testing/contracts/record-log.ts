import assert from 'node:assert/strict';
import { json, type RecordLog, record, text } from '../../log/index.ts';
import { conditionTests } from './conditional-appends.ts';
import { type ContractTest, contractTests } from './contract.ts';
import { freshnessTests } from './read-freshness.ts';
import { all, type RecordLogUnderTest, shown, take } from './record-log-stage.ts';

export type { RecordLogUnderTest } from './record-log-stage.ts';

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

    test('an atomic append is there as a whole, each part side by side in its log stream', async ({
      log,
      logStreams: [one, two],
    }) => {
      await log.append('before', { logStream: two });
      const acks = await log.appendAtomically([
        { logStream: two, records: ['a', record('b', { key: 'own' })], key: 'part' },
        { logStream: one, records: 'c' },
      ]);
      assert.deepEqual(
        acks.map((it) => [it.logStream, it.count]),
        [
          [two, 2],
          [one, 1],
        ],
      );
      const entries = await all(log.read());
      assert.deepEqual(entries.map((it) => it.text()).sort(), ['a', 'b', 'before', 'c']);
      for (const [i, texts] of [['a', 'b'], ['c']].entries()) {
        const { glsn, llsn, logStream } = acks[i]!;
        const found = entries.slice(glsn - 1, glsn - 1 + texts.length);
        assert.deepEqual(
          found.map((it) => [it.text(), it.glsn, it.llsn, it.logStream]),
          texts.map((it, k) => [it, glsn + k, llsn + k, logStream]),
        );
      }
      assert.deepEqual(
        entries.map((it) => it.key).filter((it) => it !== undefined),
        ['part', 'own'],
      );
      await log.appendAtomically([{ logStream: one, records: 'alone' }]);
      assert.equal((await all(log.read())).length, 5);
    });

    test('an atomic append that makes no sense is refused for certain, and all of its parts', async ({
      log,
      logStreams: [one, two],
    }) => {
      const refused = async (
        parts: Parameters<RecordLog['appendAtomically']>[0],
        code: string,
      ): Promise<void> => {
        await assert.rejects(log.appendAtomically(parts), { code, outcome: 'notAppended' });
      };
      const a = { logStream: one, records: 'a' };
      await refused([], 'EMPTY_BATCH');
      await refused([a, { logStream: two, records: [] }], 'EMPTY_BATCH');
      await refused([a, { logStream: one, records: 'b' }], 'INVALID_ARGUMENT');
      await refused([a, { logStream: 0, records: 'b' }], 'INVALID_ARGUMENT');
      await refused([a, { logStream: 1.5, records: 'b' }], 'INVALID_ARGUMENT');
      const many = Array.from({ length: 65 }, (_, i) => ({ logStream: i + 1, records: 'a' }));
      await refused(many, 'INVALID_ARGUMENT');
      const large = Array.from({ length: 3 }, () => new Uint8Array(1024 * 1024));
      const parts = [one, two].map((logStream) => ({ logStream, records: large }));
      await refused(parts, 'ENTRY_TOO_LARGE');
      assert.deepEqual(await all(log.read()), []);
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

    test('reads from the time of each record, and from before and after all of them', async ({
      log,
    }) => {
      for (let i = 0; i < 6; i++) await log.append([`${i}`, `${i}'`]);
      const entries = await all(log.read());
      const times = entries.map((it) => it.timestamp);
      assert.ok(Math.min(...times) > 0, 'each record has a time');
      for (const time of [0, ...times, Math.max(...times) + 1]) {
        const wanted = entries.filter((it) => it.timestamp >= time);
        assert.deepEqual(
          (await all(log.read({ from: { time } }))).map((it) => it.glsn),
          wanted.map((it) => it.glsn),
        );
        const since = { getTime: () => time };
        const tail = await take(log.tail({ from: { time: since } }), wanted.length);
        assert.deepEqual(
          tail.map((it) => it.glsn),
          wanted.map((it) => it.glsn),
        );
      }
    });

    test('a consumer is given each record, and the next of its name goes on behind the last', async ({
      log,
    }) => {
      await log.append(['a', 'b', 'c']);
      const given: string[] = [];
      const options = { name: 'billing', concurrency: 2 };
      const first = log.process(options, (entry) => given.push(entry.text()));
      await first.caughtUp();
      await first.close();
      await first.done;
      await log.append('d');
      const second = log.process(options, (entry) => given.push(entry.text()));
      await second.caughtUp();
      await second.close();
      assert.deepEqual(given, ['a', 'b', 'c', 'd']);
      assert.equal(second.status.state, 'closed');
    });

    test('a consumer stops at a record that fails, and says so', async ({ log }) => {
      await log.append(['a', 'b', 'c']);
      const given: string[] = [];
      const consumer = log.process({ name: 'billing', attempts: 1 }, (entry) => {
        if (entry.text() === 'b') throw new RangeError('not b');
        given.push(entry.text());
      });
      await assert.rejects(consumer.done, { code: 'HANDLER_FAILED', message: /not b/ });
      assert.deepEqual(given, ['a']);
      assert.equal(consumer.status.state, 'stopped');
      assert.equal(consumer.health().ok, false);
    });

    test('of two consumers of a name the later one goes on', async ({ log }) => {
      await log.append('a');
      const options = { name: 'billing', checkpointEveryMs: 20 };
      const first = log.process(options, () => {});
      await first.caughtUp();
      const second = log.process(options, () => {});
      await assert.rejects(first.done, { code: 'CONSUMER_FENCED' });
      await log.append('b');
      await second.caughtUp();
      await second.close();
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

    test('a time of which the records were trimmed is the first one left, and one to come the end', async ({
      log,
      trim,
    }) => {
      await log.append(['a', 'b', 'c']);
      await trim(2);
      const left = await all(log.read({ from: { time: 1 } }));
      assert.deepEqual(
        left.map((it) => it.text()),
        ['c'],
      );
      await assert.rejects(all(log.read({ from: 1 })), { code: 'TRIMMED' });
      const from = { time: left[0]!.timestamp + 1e9 };
      assert.deepEqual(await all(log.read({ from })), []);
      const coming = take(log.tail({ from }), 1);
      // It may begin before or after one of them is appended: one that it sees ends it.
      let seen = false;
      coming.then(
        () => {
          seen = true;
        },
        () => {},
      );
      while (!seen) await log.append('d');
      assert.equal((await coming)[0]!.text(), 'd');
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

    test('a tail ends quietly when it is aborted, and a read with the reason', async ({ log }) => {
      await log.append('a');
      const stop = new AbortController();
      const { signal } = stop;
      const texts: string[] = [];
      for await (const it of log.tail({ from: 'start', signal })) {
        texts.push(it.text());
        stop.abort(new RangeError('enough'));
      }
      assert.deepEqual(texts, ['a']);
      await assert.rejects(all(log.read({ signal })), RangeError);
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

    conditionTests(test);
    freshnessTests(test);
  });
}
