import assert from 'node:assert/strict';
import { type RecordLog, record } from '../../log/index.ts';
import type { Register } from './contract.ts';
import type { RecordLogUnderTest } from './record-log-under-test.ts';
import { all } from './taken-entries.ts';

/** Appends to several log streams at once. */
export function atomicAppends(test: Register<RecordLogUnderTest>): void {
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
    // Neither of them is taken by the compiler, and both would look as if they counted.
    const more: object = { expect: { tail: 7 } };
    await refused([a, { logStream: two, records: 'b', ...more }], 'INVALID_ARGUMENT');
    const b = { logStream: two, records: 'b' };
    const expected = { code: 'INVALID_ARGUMENT', outcome: 'notAppended' };
    await assert.rejects(log.appendAtomically([a, b], more), expected);
    assert.deepEqual(await all(log.read()), []);
  });
}
