import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryLog } from 'varlog/testing';
import { WalFollower } from './follower.ts';
import { LocalState } from './local-state.ts';
import { bound, Gate, memoryTopic } from './wal.fixture.ts';
import type { WalTopic } from './wal-topic.ts';
import { WalWriter } from './writer.ts';

describe('a store that writes ahead to a topic', () => {
  let root: string;
  let made = 0;
  const folder = (): string => join(root, String(++made));
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'varlog-wal-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  test('an empty disk has everything again', async () => {
    const topic = memoryTopic(new MemoryLog());
    await using first = await WalWriter.open(topic, folder());
    expect(await first.put('a', '1')).toBe(1);
    await Promise.all([first.put('a', '2'), first.put('b', '3'), first.delete('b')]);
    await using second = await WalWriter.open(topic, folder());
    expect([await second.get('a'), await second.get('b')]).toEqual(['2', undefined]);
  });

  test('a record is applied once, and where it was applied is remembered with it', async () => {
    const directory = folder();
    {
      await using state = await LocalState.open(directory, 'log');
      await state.apply({ op: 'put', key: 'a', value: 'first' }, 1);
      await state.apply({ op: 'put', key: 'a', value: 'second' }, 2);
    }
    await using state = await LocalState.open(directory, 'log');
    await state.apply({ op: 'put', key: 'a', value: 'first' }, 1);
    expect([state.position, await state.pairs()]).toEqual([2, [['a', 'second']]]);
  });

  test.each([[undefined], [''], [7]])('a folder named %p is refused', async (directory) => {
    const opening = WalWriter.open(memoryTopic(new MemoryLog()), directory as string);
    await expect(opening).rejects.toThrow(/^INVALID_ARGUMENT: directory: .*; give the path of a/);
  });

  test('a folder of another log is refused', async () => {
    const directory = folder();
    {
      await using writer = await WalWriter.open(memoryTopic(new MemoryLog()), directory);
      await writer.put('a', '1');
    }
    const other = memoryTopic(new MemoryLog());
    await expect(WalWriter.open(other, directory)).rejects.toMatchObject({ code: 'LOG_MISMATCH' });
  });

  test('a folder that is further than its log is refused', async () => {
    const directory = folder();
    const log = new MemoryLog({ identity: 'restored' });
    {
      await using writer = await WalWriter.open(memoryTopic(log), directory);
      for (const value of ['1', '2', '3']) await writer.put('a', value);
    }
    const older = memoryTopic(new MemoryLog({ identity: 'restored' }));
    await older.records.append({ op: 'put', key: 'a', value: '1' });
    const refused = { code: 'BEYOND_TAIL' };
    await expect(WalFollower.open(older, directory)).rejects.toMatchObject(refused);
    await expect(WalWriter.open(older, directory)).rejects.toMatchObject(refused);
  });

  test('what is closed twice is closed once', async () => {
    const topic = memoryTopic(new MemoryLog());
    const opened = [await WalWriter.open(topic, folder()), await WalFollower.open(topic, folder())];
    for (const it of opened) {
      const closed = it[Symbol.asyncDispose]();
      await it[Symbol.asyncDispose]();
      await closed;
    }
  });

  test('whoever is deposed stops and says so', async () => {
    const topic = memoryTopic(new MemoryLog());
    await using first = await WalWriter.open(topic, folder());
    await using second = await WalWriter.open(topic, folder());
    const refused = { code: 'FAILED_PRECONDITION', outcome: 'notAppended' };
    await expect(first.put('a', 'old')).rejects.toMatchObject(refused);
    await expect(first.put('a', 'old')).rejects.toThrow('another writer took over');
    expect(await second.put('a', 'new')).toBe(1);
  });

  test('a write that certainly did nothing may be tried again', async () => {
    const log = new MemoryLog();
    await using writer = await WalWriter.open(memoryTopic(log), folder());
    log.failNext('refused');
    await expect(writer.put('a', '1')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await writer.put('a', '1')).toBe(1);
  });

  test('a writer of which too much is asked refuses', async () => {
    const log = new MemoryLog();
    await using writer = await WalWriter.open(memoryTopic(log), folder());
    // Those behind the first one find the writer stopped.
    log.failNext('unknownLost');
    const writes = Array.from({ length: 1_001 }, () => writer.put('a', '1'));
    const outcomes = await Promise.allSettled(writes);
    const codes = outcomes.map((it) => (it.status === 'rejected' ? it.reason.code : 'done'));
    expect([codes[0], codes[999]]).toEqual(['APPEND_UNKNOWN', 'FAILED_PRECONDITION']);
    expect(codes[1_000]).toBe('RESOURCE_EXHAUSTED');
  });

  test('a follower serves what it has, and says how far behind that is', async () => {
    const topic = memoryTopic(new MemoryLog());
    await using writer = await WalWriter.open(topic, folder());
    for (const value of ['1', '2', '3']) await writer.put('a', value);
    await using follower = await WalFollower.open(topic, folder());
    // Nothing can have been applied yet: it has only just begun.
    expect(await follower.get('a')).toEqual({ value: undefined, behind: 3 });
    let found = await follower.get('a');
    while (found.behind > 0) found = await follower.get('a');
    expect(found.value).toBe('3');
  });

  test('a checkpoint lets the log be trimmed, and both an empty and an old folder begin at it', async () => {
    const topic = memoryTopic(new MemoryLog());
    const old = folder();
    {
      await using writer = await WalWriter.open(topic, old);
      await writer.put('gone', '1');
    }
    await using writer = await WalWriter.open(topic, folder());
    await writer.delete('gone');
    await writer.put('kept', '2');
    expect(await writer.checkpoint()).toBe(4);
    await expect(topic.records.read({ from: 3 })[Symbol.asyncIterator]().next()).rejects.toThrow();
    await writer.put('after', '3');
    for (const directory of [old, folder()]) {
      await using reader = await WalWriter.open(topic, directory);
      expect([await reader.get('gone'), await reader.get('kept')]).toEqual([undefined, '2']);
      expect(await reader.get('after')).toBe('3');
    }
  });

  test('a follower that is overtaken by trims goes on at the checkpoints behind which they were', async () => {
    const topic = memoryTopic(new MemoryLog());
    await using writer = await WalWriter.open(topic, folder());
    const gate = new Gate();
    const { records } = topic;
    const tail: WalTopic['records']['tail'] = (options) =>
      gate.slowed(records.tail(options), options?.signal);
    const slow: WalTopic = {
      ...topic,
      records: { ...bound(records), tail },
    };
    await using follower = await WalFollower.open(slow, folder());
    for (let turn = 0; turn < 3; turn++) {
      await writer.put('a', `${turn}`);
      while ((await follower.get('a')).behind > 0);
      gate.isOpen = false;
      // It waits for the next record behind the gate by now, and those after it go.
      await writer.put('a', 'passed over');
      await writer.put('a', `${turn} again`);
      await writer.checkpoint();
      gate.open();
      let found = await follower.get('a');
      while (found.behind > 0) found = await follower.get('a');
      expect(found.value).toBe(`${turn} again`);
    }
  });

  test('a checkpoint that does not fit into a record is refused, and nothing is trimmed or stopped', async () => {
    const topic = memoryTopic(new MemoryLog());
    await using writer = await WalWriter.open(topic, folder());
    const value = 'x'.repeat(300 * 1024);
    for (let i = 0; i < 5; i++) await writer.put(`key ${i}`, value);
    await expect(writer.checkpoint()).rejects.toMatchObject({
      code: 'ENTRY_TOO_LARGE',
      outcome: 'notAppended',
    });
    await writer.put('key 1', 'small');
    await using second = await WalWriter.open(topic, folder());
    expect([await second.get('key 0'), await second.get('key 1')]).toEqual([value, 'small']);
  });

  test('a record that is none of the store ends who reads it, by name, and changes nothing', async () => {
    const log = new MemoryLog();
    const topic = memoryTopic(log);
    const directory = folder();
    {
      await using writer = await WalWriter.open(topic, directory);
      await writer.put('a', '1');
    }
    await using follower = await WalFollower.open(topic, folder());
    await log.records().append('not of the store');
    const foreign = { code: 'DECODE_FAILED' };
    await expect(follower.failed).rejects.toMatchObject(foreign);
    await expect(follower.get('a')).rejects.toMatchObject(foreign);
    await expect(WalWriter.open(topic, directory)).rejects.toMatchObject(foreign);
    await using state = await LocalState.open(directory, await log.identity());
    expect(await state.pairs()).toEqual([['a', '1']]);
  });

  test('a log that was trimmed without a checkpoint is refused', async () => {
    const topic = memoryTopic(new MemoryLog());
    await using writer = await WalWriter.open(topic, folder());
    await writer.put('a', '1');
    await writer.put('b', '2');
    await topic.trim(1);
    await expect(WalWriter.open(topic, folder())).rejects.toMatchObject({ code: 'TRIMMED' });
    await using follower = await WalFollower.open(topic, folder());
    await expect(follower.failed).rejects.toMatchObject({ code: 'TRIMMED' });
    await expect(follower.get('a')).rejects.toMatchObject({ code: 'TRIMMED' });
  });
});
