import assert from 'node:assert/strict';
import { BATCH_BYTES_MAX, joined, type LogEntry, type OrderedLog } from '../../base/index.ts';
import { type Closable, type ContractTest, contractTests } from './contract.ts';

/** An empty log, and what ends it. */
export interface LogUnderTest extends Closable {
  readonly log: OrderedLog;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (entry: LogEntry): string => new TextDecoder().decode(entry.command);

/**
 * What every `OrderedLog` owes its users. `make` gives a new, empty log.
 *
 * ```ts
 * for (const { title, run } of orderedLogContract(makeLog)) test(title, run);
 * ```
 */
export function orderedLogContract(make: () => Promise<LogUnderTest>): ContractTest[] {
  return contractTests(make, (test) => {
    test('says which log it is, always the same', async ({ log }) => {
      const identity = await log.identity();
      assert.notEqual(identity, '');
      await log.append([bytes('a')]);
      assert.equal(await log.identity(), identity);
    });

    test('delivers commands side by side, in order, each once, from any position', async ({
      log,
    }) => {
      const first = await log.append([bytes('a'), bytes('b'), bytes('c')]);
      const next = await log.append([bytes('d')]);
      assert.ok(next > first + 2, `${next} comes behind a batch of three at ${first}`);
      const all = await take(log, 1, 4);
      assert.deepEqual(all.map(text), ['a', 'b', 'c', 'd']);
      assert.deepEqual(
        all.map((it) => it.position),
        [first, first + 1, first + 2, next],
      );
      assert.deepEqual((await take(log, first + 1, 3)).map(text), ['b', 'c', 'd']);
    });

    test('a follower gets what is appended later', async ({ log }) => {
      const taken = take(log, 1, 2);
      await log.append([bytes('a')]);
      await log.append([bytes('b')]);
      assert.deepEqual((await taken).map(text), ['a', 'b']);
    });

    test('appends of one moment keep each batch together, and all followers agree', async ({
      log,
    }) => {
      const pairs = Array.from({ length: 20 }, (_, i) => [bytes(`${i}`), bytes(`${i}`)]);
      await Promise.all(pairs.map((pair) => log.append(pair)));
      const [one, two] = await Promise.all([take(log, 1, 40), take(log, 1, 40)]);
      const texts = one.map(text);
      assert.deepEqual(two.map(text), texts);
      for (let i = 0; i < 40; i += 2) assert.equal(texts[i], texts[i + 1]);
      assert.equal(new Set(texts).size, 20);
    });

    test('the tail covers what was acknowledged', async ({ log }) => {
      assert.ok((await log.tail()) >= 0);
      const position = await log.append([bytes('a'), bytes('b')]);
      const tail = await log.tail();
      assert.ok(tail >= position + 1, `the tail ${tail} covers two commands at ${position}`);
    });

    test('an empty append is refused for certain', async ({ log }) => {
      await assert.rejects(log.append([]), {
        code: 'EMPTY_BATCH',
        outcome: 'notAppended',
      });
    });

    test('a batch that is too large is refused for certain, and what follows is not concerned', async ({
      log,
    }) => {
      const large = [new Uint8Array(BATCH_BYTES_MAX + 1)];
      const refused = { code: 'ENTRY_TOO_LARGE', outcome: 'notAppended' };
      await assert.rejects(log.append(large), refused);
      await log.append([bytes('a')]);
      assert.deepEqual((await take(log, 1, 1)).map(text), ['a']);
    });

    test('the caller may use its buffers again once an append has resolved', async ({ log }) => {
      const own = bytes('kept');
      await log.append([own]);
      own.fill(0);
      const found = await take(log, 1, 1);
      assert.deepEqual(found.map(text), ['kept']);
    });

    test('a call ends with the reason of its signal', async ({ log }) => {
      await log.append([bytes('a')]);
      const reason = new Error('enough');
      const { signal } = abortedWith(reason);
      const isReason = (error: unknown): boolean => error === reason;
      await assert.rejects(log.append([bytes('b')], { signal }), isReason);
      await assert.rejects(log.tail({ signal }), isReason);
    });

    test('a follower says how far it has delivered, and that never goes back', async ({ log }) => {
      await log.append([bytes('a'), bytes('b')]);
      const tail = await log.tail();
      let before = 0;
      for await (const it of log.follow(1)) {
        const through = it.kind === 'entries' ? it.through : it.position;
        const last = it.kind === 'entries' ? (it.entries.at(-1)?.position ?? 0) : 0;
        assert.ok(through >= before && through >= last, `${through} after ${before} and ${last}`);
        before = through;
        if (through >= tail) break;
      }
    });

    test('whoever follows from behind the tail gets what is appended there, and nothing before', async ({
      log,
    }) => {
      const last = await log.append([bytes('a')]);
      const taken = take(log, last + 1, 1);
      await log.append([bytes('b')]);
      assert.deepEqual((await taken).map(text), ['b']);
    });

    test('what is no position, and what cannot be aborted, is refused before anything is read', async ({
      log,
    }) => {
      await log.append([bytes('a')]);
      const refused = { code: 'INVALID_ARGUMENT' };
      for (const from of [-1, 0.5, Number.NaN, 2 ** 53, '1', null, undefined])
        await assert.rejects(take(log, from as number, 1), refused, String(from));
      const follow = async (): Promise<void> => {
        for await (const _ of log.follow(1, { signal: 'x' as never })) break;
      };
      await assert.rejects(follow, refused);
      // Nothing is there, so that whoever has had nothing may say so.
      assert.deepEqual((await take(log, 0, 1)).map(text), ['a']);
    });

    test('following ends quietly when it is aborted', async ({ log }) => {
      const stop = new AbortController();
      const done = (async () => {
        for await (const _ of log.follow(1, { signal: stop.signal }));
      })();
      stop.abort();
      await done;
    });

    test('behind a compacted head a follower starts from the snapshot', async ({ log }) => {
      if (log.compact === undefined) return;
      const first = await log.append([bytes('a'), bytes('b'), bytes('c')]);
      await log.compact(first + 1, bytes('ab'));
      for await (const it of log.follow(first)) {
        // A log may keep compacted entries for a while.
        if (it.kind === 'snapshot') {
          assert.equal(it.position, first + 1);
          assert.equal(new TextDecoder().decode(await joined(it.state)), 'ab');
        }
        break;
      }
      assert.deepEqual((await take(log, first + 2, 1)).map(text), ['c']);
    });
  });
}

function abortedWith(reason: unknown): AbortController {
  const controller = new AbortController();
  controller.abort(reason);
  return controller;
}

async function take(log: OrderedLog, from: number, count: number): Promise<LogEntry[]> {
  const taken: LogEntry[] = [];
  for await (const it of log.follow(from)) {
    if (it.kind === 'entries') taken.push(...it.entries);
    if (taken.length >= count) break;
  }
  return taken;
}
