import assert from 'node:assert/strict';
import { VarlogError } from '../../base/index.ts';
import type { Entry, From } from '../../log/index.ts';
import type { Register } from './contract.ts';
import type { RecordLogUnderTest } from './record-log-under-test.ts';
import { all } from './taken-entries.ts';

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

  consumersThatAreAdded(test);
}

/** Those that are registered before they run for the first time. */
function consumersThatAreAdded(test: Register<RecordLogUnderTest>): void {
  test('a consumer that is added keeps the records from there on before it ever runs, and begins there', async ({
    log,
    consumers,
    trim,
  }) => {
    await log.append(['a', 'b', 'c']);
    await consumers.add('billing', { from: 2 });
    assert.deepEqual(await positions(consumers), [['billing', 1]]);
    await trim(3).catch((error: unknown) => assert.equal(codeOf(error), 'FAILED_PRECONDITION'));
    await log.append('d');
    await trim(1);
    assert.deepEqual(await texts(log.read()), ['b', 'c', 'd']);
    const given: string[] = [];
    // It is known: where a new one would begin does not matter.
    const options = { name: 'billing', from: 'end' } as const;
    const consumer = log.process(options, (entry) => given.push(entry.text()));
    await consumer.caughtUp();
    await consumer.close();
    assert.deepEqual(given, ['b', 'c', 'd']);
    // Now that they are done nobody needs them.
    await trim(3);
    assert.deepEqual(await texts(log.read()), ['d']);
  });

  test('a consumer is added at the start, at the end, behind a record or at a time', async ({
    log,
    consumers,
    trim,
  }) => {
    await log.append(['a', 'b', 'c']);
    await trim(1);
    const [, c] = await all(log.read());
    await consumers.add('1 start');
    await consumers.add('2 behind c', { from: c!.resumeToken });
    await consumers.add('3 end', { from: 'end' });
    await consumers.add('4 what comes next', { from: 4 });
    await consumers.add('5 since ever', { from: { time: 0 } });
    await consumers.add('6 later', { from: { time: { getTime: () => 4e14 } } });
    assert.deepEqual(
      (await positions(consumers)).map(([, position]) => position),
      [1, 3, 3, 3, 1, 3],
    );
  });

  test('a consumer that is known is not added, nor moved, nor fenced where it runs', async ({
    log,
    consumers,
  }) => {
    await log.append(['a', 'b']);
    const known = { code: 'ALREADY_EXISTS' };
    await consumers.add('waiting', { from: 2 });
    await assert.rejects(consumers.add('waiting', { from: 'end' }), known);
    await assert.rejects(consumers.add('waiting', { from: 2 }), known);
    const given: string[] = [];
    const options = { name: 'running', checkpointEveryMs: 20 };
    const consumer = log.process(options, (entry) => given.push(entry.text()));
    await consumer.caughtUp();
    await assert.rejects(consumers.add('running'), known);
    await log.append('c');
    await consumer.caughtUp();
    const { epoch } = consumer.status;
    await consumer.close();
    await consumer.done;
    assert.deepEqual(given, ['a', 'b', 'c']);
    assert.deepEqual(await positions(consumers), [
      ['running', 3],
      ['waiting', 1],
    ]);
    const [running] = await consumers.list();
    assert.equal(running!.epoch, epoch);
  });

  test('a consumer is not added under a name, nor at a place, that cannot be', async ({
    log,
    consumers,
    trim,
  }) => {
    await log.append(['a', 'b', 'c']);
    await trim(2);
    const refusals: [string, From | undefined, string][] = [
      ['', 'start', 'INVALID_ARGUMENT'],
      ['x'.repeat(201), 'start', 'INVALID_ARGUMENT'],
      [5 as never, 'start', 'INVALID_ARGUMENT'],
      ['a', 2, 'TRIMMED'],
      ['a', 5, 'BEYOND_TAIL'],
      ['a', 0, 'POSITION_OUT_OF_RANGE'],
      ['a', 'middle' as never, 'INVALID_ARGUMENT'],
      ['a', null as never, 'INVALID_ARGUMENT'],
      ['a', { time: Number.NaN }, 'INVALID_ARGUMENT'],
      ['a', 'varlog:other:1:1' as never, 'CLUSTER_MISMATCH'],
    ];
    for (const [name, from, code] of refusals) {
      await assert.rejects(consumers.add(name, { from: from! }), { code }, `${name} at ${from}`);
    }
    assert.deepEqual(await consumers.list(), []);
    await consumers.add('x'.repeat(200), { from: 3 });
  });
}

async function positions(
  consumers: RecordLogUnderTest['consumers'],
): Promise<(readonly [string, number])[]> {
  return (await consumers.list()).map(({ name, position }) => [name, position] as const);
}

async function texts(entries: AsyncIterable<Entry>): Promise<string[]> {
  return (await all(entries)).map((it) => it.text());
}

function codeOf(error: unknown): string | undefined {
  return VarlogError.is(error) ? error.code : String(error);
}
