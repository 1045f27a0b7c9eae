import assert from 'node:assert/strict';
import type { Register } from './contract.ts';
import type { RecordLogUnderTest } from './record-log-under-test.ts';
import { all } from './taken-entries.ts';

/** Appends that expect something of their log stream. */
export function conditionalAppends(test: Register<RecordLogUnderTest>): void {
  test('an append that expects the tail is taken once, by whoever comes first', async ({ log }) => {
    const { llsn, logStream } = await log.append(['a', 'b']);
    const behind = (tail: number) => ({ logStream, expect: { tail } });
    const third = await log.append('c', { ...behind(llsn + 1), receipt: true });
    assert.equal(third.llsn, llsn + 2);
    assert.ok(third.receipt!.total >= 0);
    const all3 = await Promise.allSettled(
      ['d', 'e', 'f'].map((it) => log.append(it, behind(llsn + 2))),
    );
    assert.equal(all3.filter((it) => it.status === 'fulfilled').length, 1);
    const details = { condition: 'tail', logStream, expected: 0, actual: llsn + 3 };
    await assert.rejects(log.append('g', behind(0)), failedBy(details));
    await assert.rejects(log.append('h', behind(llsn + 9)), failedBy({ expected: llsn + 9 }));
    assert.equal((await all(log.read())).length, 4);
  });

  test('an append that expects the version of a key looks at records with that key only', async ({
    log,
  }) => {
    const { llsn, logStream } = await log.append('a', { key: 'k' });
    const put = (value: string, key: string, version: number) =>
      log.append(value, { key, logStream, expect: { stream: { key, version } } });
    await log.append('b', { key: 'other', logStream });
    const { llsn: next } = await put('c', 'k', llsn);
    const details = { condition: 'stream', expected: llsn, actual: next, atMost: false };
    await assert.rejects(put('d', 'k', llsn), failedBy(details));
    // Also who has read further than its last record has seen it.
    await log.append('e', { logStream });
    assert.equal((await put('f', 'k', next + 1)).llsn, next + 2);
    assert.equal((await put('g', 'new', 0)).llsn, next + 3);
    await assert.rejects(put('h', 'new', 0), failedBy({ actual: next + 3 }));
    await assert.rejects(put('i', 'k', 1_000), failedBy({ expected: 1_000 }));
    const texts = (await all(log.read())).map((it) => it.text());
    assert.deepEqual(
      texts.filter((it) => 'dhi'.includes(it)),
      [],
    );
  });

  test('who was fenced off appends nothing more, and who carries no token is not concerned', async ({
    log,
  }) => {
    const carrying = (fence: number) => ({ expect: { fence } });
    // Nobody has set it: whoever waits for that waits in vain.
    const early = log.append('a', { ...carrying(1), timeoutMs: 300 });
    await assert.rejects(early, { outcome: 'notAppended' });
    const first = await log.fence();
    await log.append('b', carrying(first));
    const second = await log.fence();
    assert.ok(second > first, `${second} comes after ${first}`);
    const details = { condition: 'fence', expected: first, actual: second };
    await assert.rejects(log.append('c', carrying(first)), failedBy(details));
    await log.append('d', carrying(second));
    await log.append('e');
    assert.equal(await log.fence({ token: second + 10 }), second + 10);
    assert.equal(await log.fence({ token: second + 10 }), second + 10);
    await assert.rejects(log.fence({ token: second + 9 }), { code: 'CONDITION_FAILED' });
    await log.append('f', carrying(second + 10));
    const texts = (await all(log.read())).map((it) => it.text());
    assert.deepEqual(texts, ['b', 'd', 'e', 'f']);
  });

  test('an expectation that makes no sense is refused for certain', async ({ log }) => {
    const { logStream } = await log.append('a');
    const stream = { key: 'k', version: 1 };
    for (const expect of [
      {},
      null,
      { tail: -1 },
      { tail: 0.5 },
      { tail: '1' },
      { fence: 0 },
      { stream: null },
      { stream: { ...stream, version: -1 } },
      { stream: { ...stream, key: 7 } },
    ] as never[]) {
      const refused = { code: 'INVALID_ARGUMENT', outcome: 'notAppended' };
      await assert.rejects(log.append('b', { logStream, expect }), refused);
    }
    await assert.rejects(log.fence({ token: 0 }), { code: 'INVALID_ARGUMENT' });
    assert.equal((await all(log.read())).length, 1);
  });
}

/** Refused because an expectation does not hold: for certain, and with what was found. */
function failedBy(details: Record<string, unknown>) {
  return (error: { code: string; outcome: string; details: Record<string, unknown> }) => {
    assert.deepEqual([error.code, error.outcome], ['CONDITION_FAILED', 'notAppended']);
    for (const [name, value] of Object.entries(details)) assert.equal(error.details[name], value);
    return true;
  };
}
