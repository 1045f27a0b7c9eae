import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VarlogError } from 'varlog/log';
import { MemoryLog, SeededRandom } from 'varlog/testing';
import { memoryTopic } from './wal.fixture.ts';
import type { WalTopic } from './wal-topic.ts';
import { WalWriter } from './writer.ts';

const SEEDS = 8;
const STEPS = 30;
const KEYS = ['a', 'b', 'c'];
const FAULTS = ['refused', 'unknownApplied', 'unknownLate', 'unknownLost'] as const;

/**
 * Writers that take over from each other, on folders old and empty, while appends fail: what was acknowledged is there,
 * what is unknown is there or not, and whoever was deposed writes nothing.
 */
async function run(seed: number, changed: (topic: WalTopic) => WalTopic = (it) => it) {
  const root = mkdtempSync(join(tmpdir(), 'varlog-wal-'));
  const random = new SeededRandom(seed);
  const log = new MemoryLog();
  const topic = changed(memoryTopic(log));
  /** The values that a key may have: more than one where the outcome of a write is not known. */
  const possible = new Map<string, (string | undefined)[]>(KEYS.map((it) => [it, [undefined]]));
  const open: { writer: WalWriter; directory: string }[] = [];
  let folders = 0;
  const takeOver = async (): Promise<WalWriter> => {
    // Either the process came back on its disk, or another one takes over while it believes that it writes.
    const before = random.chance(0.5) ? open.pop() : undefined;
    await before?.writer[Symbol.asyncDispose]();
    const directory = before?.directory ?? join(root, String(++folders));
    const writer = await WalWriter.open(topic, directory);
    open.push({ writer, directory });
    for (const key of KEYS) {
      const value = await writer.get(key);
      expect({ seed, key, value: possible.get(key)!.includes(value) }).toMatchObject({
        value: true,
      });
      possible.set(key, [value]);
    }
    return writer;
  };
  try {
    let writer = await takeOver();
    for (let step = 0; step < STEPS; step++) {
      if (random.chance(0.3)) log.failNext(random.pick(FAULTS));
      const key = random.pick(KEYS);
      const value = random.chance(0.3) ? undefined : `${step}`;
      const isCheckpoint = random.chance(0.1);
      const deposed = open.at(-2)?.writer;
      if (deposed !== undefined && random.chance(0.2)) {
        await expect(deposed.put(key, 'by the deposed one')).rejects.toBeInstanceOf(VarlogError);
        continue;
      }
      try {
        if (isCheckpoint) await writer.checkpoint();
        else if (value === undefined) await writer.delete(key);
        else await writer.put(key, value);
        if (!isCheckpoint) possible.set(key, [value]);
      } catch (error) {
        if (!VarlogError.is(error)) throw error;
        if (error.outcome === 'notAppended') continue;
        if (!isCheckpoint) possible.get(key)!.push(value);
        writer = await takeOver();
      }
      if (random.chance(0.05)) writer = await takeOver();
    }
    log.failNext('refused');
    await takeOver();
  } finally {
    for (const { writer } of open) await writer[Symbol.asyncDispose]();
    rmSync(root, { recursive: true, force: true });
  }
}

test('nothing that was acknowledged is lost while writers take over and appends fail', async () => {
  for (let seed = 1; seed <= SEEDS; seed++) await run(seed);
});

test('appends that carry no fencing token would be found', async () => {
  const unfenced = (topic: WalTopic): WalTopic => ({
    ...topic,
    records: {
      append: (records) => topic.records.append(records),
      fence: (options) => topic.records.fence(options),
      read: (options) => topic.records.read(options),
      tail: (options) => topic.records.tail(options),
    },
  });
  const seeds = async (): Promise<void> => {
    for (let seed = 1; seed <= SEEDS; seed++) await run(seed, unfenced);
  };
  await expect(seeds()).rejects.toThrow();
});
