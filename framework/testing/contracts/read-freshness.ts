import assert from 'node:assert/strict';
import type { Register } from './contract.ts';
import { all, type RecordLogUnderTest, shown } from './record-log-stage.ts';

/** How fresh a read is, by what it is asked for. */
export function freshnessTests(test: Register<RecordLogUnderTest>): void {
  test('a read of at least what was acknowledged sees it, and ends', async ({ log }) => {
    for (let i = 1; i <= 10; i++) {
      const { glsn, count } = await log.append([`${i}`, `${i}'`]);
      const atLeast = glsn + count - 1;
      const entries = await all(log.read({ from: glsn, atLeast }));
      assert.deepEqual(entries.map(shown), (await all(log.read({ from: glsn }))).map(shown));
      assert.equal(entries.length, 2);
    }
    const named = await all(log.read({ from: 3, to: 7, consistency: 'stale' }));
    assert.deepEqual(
      named.map((it) => it.glsn),
      [3, 4, 5, 6, 7],
    );
  });

  test('a stale read sees the beginning of the log, with nothing left out', async ({ log }) => {
    for (let i = 1; i <= 5; i++) await log.append(`${i}`);
    const glsns = (await all(log.read({ consistency: 'stale' }))).map((it) => it.glsn);
    assert.deepEqual(
      glsns,
      glsns.map((_, i) => i + 1),
    );
    assert.ok(glsns.length <= 5);
  });

  test('a position that is not there yet is waited for, until the time is over', async ({
    log,
  }) => {
    await log.append('a');
    const late = all(log.read({ atLeast: 2, timeoutMs: 50 }));
    await assert.rejects(late, { code: 'TIMEOUT' });
    const reading = all(log.read({ atLeast: 2 }));
    await log.append('b');
    assert.deepEqual(
      (await reading).map((it) => it.text()),
      ['a', 'b'],
    );
    const ending = new AbortController();
    const aborted = all(log.read({ atLeast: 9, signal: ending.signal }));
    ending.abort(new Error('enough'));
    await assert.rejects(aborted, { message: 'enough' });
  });

  test('what no read can be asked for is refused, each with an error of its own', async ({
    log,
  }) => {
    const refused: [object, RegExp][] = [
      [{ consistency: 'eventual' }, /eventual is no consistency/],
      [{ atLeast: 0 }, /atLeast is 0/],
      [{ atLeast: 1.5 }, /1.5/],
      [{ atLeast: '1' }, /atLeast is 1/],
      [{ atLeast: 1, consistency: 'linearizable' }, /leave atLeast out/],
      [{ timeoutMs: 0 }, /timeoutMs is 0/],
    ];
    for (const [options, message] of refused) assert.throws(() => log.read(options), { message });
  });
}
