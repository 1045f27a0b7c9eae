import assert from 'node:assert/strict';
import type { LogEntry, OrderedLog } from '../../base/index.ts';
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
          assert.equal(new TextDecoder().decode(it.state), 'ab');
        }
        break;
      }
      assert.deepEqual((await take(log, first + 2, 1)).map(text), ['c']);
    });
  });
}

async function take(log: OrderedLog, from: number, count: number): Promise<LogEntry[]> {
  const taken: LogEntry[] = [];
  for await (const it of log.follow(from)) {
    if (it.kind === 'entries') taken.push(...it.entries);
    if (taken.length >= count) break;
  }
  return taken;
}
