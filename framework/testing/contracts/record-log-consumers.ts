import assert from 'node:assert/strict';
import type { Register } from './contract.ts';
import type { RecordLogUnderTest } from './record-log-under-test.ts';

/** Consumers, by name. */
export function consumersOfRecords(test: Register<RecordLogUnderTest>): void {
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

  test('a consumer that is new begins at a time, and one that is known where it was', async ({
    log,
  }) => {
    for (const it of ['a', 'b', 'c']) await log.append(it);
    const there: [string, number][] = [];
    for await (const it of log.read()) there.push([it.text(), it.timestamp]);
    const time = there[1]![1];
    const since = there.slice(there.findIndex((it) => it[1] >= time)).map(([text]) => text);
    const given: string[] = [];
    const take = (entry: { text(): string }) => given.push(entry.text());
    const first = log.process({ name: 'since', from: { time } }, take);
    await first.caughtUp();
    await first.close();
    assert.deepEqual(given, since);
    await log.append('d');
    const second = log.process({ name: 'since', from: { time: 0 } }, take);
    await second.caughtUp();
    await second.close();
    assert.deepEqual(given, [...since, 'd']);
  });

  test('a consumer that begins at a time to come is given what comes then, and no time is refused', async ({
    log,
  }) => {
    await log.append('a');
    const given: string[] = [];
    const from = { time: 4e14 };
    const consumer = log.process({ name: 'late', from }, (entry) => given.push(entry.text()));
    await consumer.caughtUp();
    await log.append('b');
    await consumer.caughtUp();
    await consumer.close();
    assert.deepEqual(given, ['b']);
    for (const time of [Number.NaN, 'now' as never]) {
      const code = 'INVALID_ARGUMENT';
      assert.throws(() => log.process({ name: 'never', from: { time } }, () => {}), { code });
    }
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
}
