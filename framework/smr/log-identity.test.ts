import { MemoryLog } from '../testing/memory-log.ts';
import {
  type SnapshotStore,
  type StateMachine,
  type StoredSnapshot,
  startReplica,
} from './index.ts';
import { checkIdentity, tagOf } from './log-identity.ts';

class Words implements StateMachine<string, number, string[]> {
  words: string[] = [];
  apply(word: string): number {
    return this.words.push(word);
  }
  snapshot(): string[] {
    return this.words;
  }
  restore(words: string[]): void {
    this.words = [...words];
  }
}

/** A folder of snapshots, without the folder. */
class Kept implements SnapshotStore {
  private kept: { position: number; chunks: Uint8Array[] } | undefined;
  async save(position: number, given: AsyncIterable<Uint8Array>): Promise<number> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of given) chunks.push(chunk);
    this.kept = { position, chunks };
    return position;
  }
  async load(): Promise<StoredSnapshot | undefined> {
    if (this.kept === undefined) return undefined;
    const { position, chunks } = this.kept;
    async function* stored(): AsyncGenerator<Uint8Array> {
      yield* chunks;
    }
    return { position, chunks: stored() };
  }
}

const wordsOf = (it: Words): string[] => [...it.words];

/** Writes words into a log and leaves a snapshot of all of them. */
async function snapshotOf(log: MemoryLog, name?: string): Promise<Kept> {
  const snapshots = new Kept();
  const machine = new Words();
  const options = name === undefined ? {} : { name };
  await using replica = await startReplica({
    machine,
    log,
    snapshots,
    snapshotEvery: 1,
    ...options,
  });
  for (const word of ['a', 'b', 'c']) await replica.execute(word);
  return snapshots;
}

describe('whose log it is', () => {
  test('a snapshot of another log is refused, with both named, and nothing of it is served', async () => {
    const snapshots = await snapshotOf(new MemoryLog());
    const machine = new Words();
    const start = startReplica({ machine, log: new MemoryLog(), snapshots });
    await expect(start).rejects.toMatchObject({
      code: 'LOG_MISMATCH',
      message: expect.stringMatching(/memory \d+.*memory \d+/),
    });
    expect(machine.words).toEqual([]);
  });

  test('a snapshot of another machine on the same log is refused', async () => {
    const log = new MemoryLog();
    const snapshots = await snapshotOf(log, 'one');
    const start = startReplica({ machine: new Words(), log, snapshots, name: 'two' });
    await expect(start).rejects.toMatchObject({ code: 'LOG_MISMATCH' });
  });

  test('a snapshot that the log keeps is checked too', async () => {
    const log = new MemoryLog();
    await using one = await startReplica({ machine: new Words(), log, snapshotEvery: 1 });
    await one.execute('a');
    await log.compact(1, new Uint8Array());
    const two = await startReplica({ machine: new Words(), log, name: 'two' });
    await expect(two.execute('b')).rejects.toMatchObject({ code: 'LOG_MISMATCH' });
  });

  test('a state ahead of its log is an error, not an empty tail', async () => {
    const whole = new MemoryLog();
    const snapshots = await snapshotOf(whole);
    const shorter = new MemoryLog({ identity: await whole.identity() });
    await using replica = await startReplica({ machine: new Words(), log: shorter, snapshots });
    await expect(replica.query(wordsOf)).rejects.toMatchObject({ code: 'BEYOND_TAIL' });
    await expect(replica.execute('d')).rejects.toMatchObject({ code: 'BEYOND_TAIL' });
  });

  test('records of others are passed over and counted, and machines by name share a log', async () => {
    const log = new MemoryLog();
    const stray = [new Uint8Array(), new Uint8Array(1), new Uint8Array(100).fill(1)];
    await log.append(stray);
    await using one = await startReplica({ machine: new Words(), log, name: 'one' });
    await using two = await startReplica({ machine: new Words(), log, name: 'two' });
    await Promise.all([one.execute('a'), two.execute('b')]);
    await log.append([new TextEncoder().encode('a line that somebody appended by hand')]);
    expect(await one.query(wordsOf)).toEqual(['a']);
    expect(await two.query(wordsOf)).toEqual(['b']);
    const seen: number[] = [];
    one.status$.subscribe(({ foreign }) => seen.push(foreign));
    expect(seen.at(-1)).toBe(6);
  });

  test('a log that does not know itself yet holds up commands, not the start', async () => {
    const log = new MemoryLog({ connected: false });
    await using replica = await startReplica({ machine: new Words(), log });
    const executed = replica.execute('a');
    expect(await replica.query(wordsOf, { consistency: 'stale' })).toEqual([]);
    log.connect();
    expect(await executed).toBe(1);
  });

  test('tags tell logs and machines apart', () => {
    const tags = [
      ['a', 'b'],
      ['ab', ''],
      ['', 'ab'],
      ['b', 'a'],
      ['a', 'c'],
    ].map(([log, machine]) => tagOf({ log: log!, machine: machine! }).join());
    expect(new Set(tags).size).toBe(tags.length);
    const own = { log: 'a', machine: 'b' };
    expect(() => checkIdentity({ ...own }, own, 'it')).not.toThrow();
  });
});
