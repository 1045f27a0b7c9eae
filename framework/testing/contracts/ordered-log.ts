import type { LogEntry, OrderedLog } from '../../base/index.ts';

/** An empty log, and what ends it. */
export interface LogUnderTest {
  readonly log: OrderedLog;
  close(): Promise<void>;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (entry: LogEntry): string => new TextDecoder().decode(entry.command);

/** Registers tests of what every `OrderedLog` owes its users. `make` gives a new, empty log. */
export function orderedLogContract(name: string, make: () => Promise<LogUnderTest>): void {
  describe(`ordered log: ${name}`, () => {
    let made: LogUnderTest;
    let log: OrderedLog;
    beforeEach(async () => {
      made = await make();
      log = made.log;
    });
    afterEach(() => made.close());

    test('says which log it is, always the same', async () => {
      const identity = await log.identity();
      expect(identity).not.toBe('');
      await log.append([bytes('a')]);
      expect(await log.identity()).toBe(identity);
    });

    test('delivers commands side by side, in order, each once, from any position', async () => {
      const first = await log.append([bytes('a'), bytes('b'), bytes('c')]);
      const next = await log.append([bytes('d')]);
      expect(next).toBeGreaterThan(first + 2);
      const all = await take(log, 1, 4);
      expect(all.map(text)).toEqual(['a', 'b', 'c', 'd']);
      expect(all.map((it) => it.position)).toEqual([first, first + 1, first + 2, next]);
      expect((await take(log, first + 1, 3)).map(text)).toEqual(['b', 'c', 'd']);
    });

    test('a follower gets what is appended later', async () => {
      const taken = take(log, 1, 2);
      await log.append([bytes('a')]);
      await log.append([bytes('b')]);
      expect((await taken).map(text)).toEqual(['a', 'b']);
    });

    test('appends of one moment keep each batch together, and all followers agree', async () => {
      const pairs = Array.from({ length: 20 }, (_, i) => [bytes(`${i}`), bytes(`${i}`)]);
      await Promise.all(pairs.map((pair) => log.append(pair)));
      const [one, two] = await Promise.all([take(log, 1, 40), take(log, 1, 40)]);
      const texts = one.map(text);
      expect(two.map(text)).toEqual(texts);
      for (let i = 0; i < 40; i += 2) expect(texts[i]).toBe(texts[i + 1]);
      expect(new Set(texts).size).toBe(20);
    });

    test('the tail covers what was acknowledged', async () => {
      expect(await log.tail()).toBeGreaterThanOrEqual(0);
      const position = await log.append([bytes('a'), bytes('b')]);
      expect(await log.tail()).toBeGreaterThanOrEqual(position + 1);
    });

    test('an empty append is refused for certain', async () => {
      await expect(log.append([])).rejects.toMatchObject({
        code: 'EMPTY_BATCH',
        outcome: 'notAppended',
      });
    });

    test('following ends quietly when it is aborted', async () => {
      const stop = new AbortController();
      const done = (async () => {
        for await (const _ of log.follow(1, { signal: stop.signal }));
      })();
      stop.abort();
      await expect(done).resolves.toBeUndefined();
    });

    test('behind a compacted head a follower starts from the snapshot', async () => {
      if (log.compact === undefined) return;
      const first = await log.append([bytes('a'), bytes('b'), bytes('c')]);
      await log.compact(first + 1, bytes('ab'));
      for await (const it of log.follow(first)) {
        // A log may keep compacted entries for a while.
        if (it.kind === 'snapshot') {
          expect(it.position).toBe(first + 1);
          expect(new TextDecoder().decode(it.state)).toBe('ab');
        }
        break;
      }
      expect((await take(log, first + 2, 1)).map(text)).toEqual(['c']);
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
