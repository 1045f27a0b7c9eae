import { filter, firstValueFrom, take, toArray } from 'rxjs';
import { MemoryLog } from '../testing/memory-log.ts';
import { SimulatedDisk } from '../testing/simulator/disk.ts';
import { SeededRandom } from '../testing/simulator/random.ts';
import { DiskSnapshotStore } from './disk-snapshot-store.ts';
import {
  type ApplyContext,
  jsonCodec,
  type ShardChangeEvent,
  type Shards,
  type StateMachine,
  shardOf,
  startShards,
} from './index.ts';

interface Say {
  readonly key: string;
  readonly text: string;
}

/** Emits what it is told. */
class Speaker implements StateMachine<Say, number, number> {
  said = 0;
  apply({ text }: Say, context: ApplyContext<Say>): number {
    context.emit(text);
    return ++this.said;
  }
  snapshot(): number {
    return this.said;
  }
  restore(said: number): void {
    this.said = said;
  }
}

type Speakers = Shards<Say, number, Speaker>;

const SHARDS = 3;
const memoryLogs = (): MemoryLog[] => Array.from({ length: SHARDS }, () => new MemoryLog());
const start = (logs: MemoryLog[], options = {}): Promise<Speakers> =>
  startShards({
    logs,
    machine: () => new Speaker(),
    keyOf: ({ key }: Say) => key,
    ...options,
  });
/** A key of each shard. */
const keys = Array.from({ length: SHARDS }, (_, shard) =>
  Array.from({ length: 100 }, (_, i) => `key ${i}`).find((it) => shardOf(it, SHARDS) === shard),
) as string[];
const say = async (shards: Speakers, ...texts: string[]): Promise<void> => {
  for (const text of texts)
    await Promise.all(keys.map((key, shard) => shards.execute({ key, text: `${shard} ${text}` })));
};

type Event = ShardChangeEvent<string>;
const readSome = async (changes: AsyncIterable<Event>, count: number): Promise<Event[]> => {
  const events: Event[] = [];
  for await (const event of changes) {
    if (event.kind === 'changes') events.push(event);
    if (events.length === count) break;
  }
  return events;
};
const textsOf = (events: readonly Event[], shard: number): string[] =>
  events.flatMap((it) => (it.kind === 'changes' && it.shard === shard ? it.changes : []));

describe('the changes of all shards', () => {
  test('are those of each in its order, and are read on at another process', async () => {
    const logs = memoryLogs();
    await using one = await start(logs);
    const done = [...one.positions];
    const from = done.map((it) => it + 1);
    await say(one, 'a', 'b', 'c', 'd');
    const events = await readSome(one.changes({ from }), 7);
    for (const { shard, position } of events) done[shard] = position;
    await using other = await start(logs);
    await say(other, 'e');
    const rest = await readSome(other.changes({ from: done.map((it) => it + 1) }), 5 * SHARDS - 7);
    for (const shard of keys.keys()) {
      const wanted = ['a', 'b', 'c', 'd', 'e'].map((text) => `${shard} ${text}`);
      expect(textsOf([...events, ...rest], shard)).toEqual(wanted);
    }
  });

  test('no more than one event of each is read ahead of who reads slowly', async () => {
    let decoded = 0;
    const json = jsonCodec<unknown>();
    const decode = (bytes: Uint8Array): unknown => {
      decoded++;
      return json.decode(bytes);
    };
    const logs = memoryLogs();
    await using shards = await start(logs, { codec: { change: { ...json, decode } } });
    const from = shards.positions.map((it) => it + 1);
    await say(shards, ...'abcdefghijklmnopqrst');
    decoded = 0;
    let taken = 0;
    for await (const _ of shards.changes({ from })) {
      taken++;
      for (let turns = 0; turns < 10; turns++) await new Promise(setImmediate);
      expect(decoded).toBeLessThanOrEqual(taken + SHARDS);
      if (taken === 20 * SHARDS) break;
    }
    expect(decoded).toBe(20 * SHARDS);
  });

  test('begin with what comes from now on, and reach an Observable too', async () => {
    await using shards = await start(memoryLogs());
    await say(shards, 'before');
    const heard = firstValueFrom(shards.changes$<string>().pipe(take(SHARDS), toArray()));
    await say(shards, 'after');
    const events = await heard;
    expect(keys.map((_, shard) => textsOf(events, shard))).toEqual([
      ['0 after'],
      ['1 after'],
      ['2 after'],
    ]);
  });

  test('end with the shards, and by a signal', async () => {
    const shards = await start(memoryLogs());
    const giveUp = new AbortController();
    const given = readSome(shards.changes<string>({ signal: giveUp.signal }), 1);
    giveUp.abort();
    expect(await given).toEqual([]);
    const open = readSome(shards.changes<string>(), 1);
    await shards.close();
    expect(await open).toEqual([]);
  });

  test('end by the error of one shard, which is named', async () => {
    const logs = memoryLogs();
    await using shards = await start(logs, { changesBytesMax: 1 });
    await shards.execute({ key: keys[2]!, text: 'a' });
    await shards.execute({ key: keys[2]!, text: 'b' });
    const reading = readSome(shards.changes<string>({ from: [1, 1, 1] }), 10);
    await expect(reading).rejects.toMatchObject({
      code: 'TRIMMED',
      message: expect.stringContaining('the changes of shard 2 cannot be read on'),
      details: { shard: 2, firstAvailable: shards.replicas[2]!.position },
    });
  });

  test('have one position for each shard to begin with', async () => {
    await using shards = await start(memoryLogs());
    for (const from of [5, [1, 1], [1, 1, 1, 1], 'start', null])
      expect(() => shards.changes({ from: from as number[] })).toThrow(
        /INVALID_ARGUMENT: from is .*give a list of 3, one position for each shard/,
      );
    for (const from of [
      [1, 1, -1],
      [1, 1.5, 1],
      [1, undefined, 1],
    ] as number[][])
      expect(() => shards.changes({ from })).toThrow(/POSITION_OUT_OF_RANGE/);
  });
});

describe('how they fare together', () => {
  test('is the worst of them, and which shard says why', async () => {
    const logs = memoryLogs();
    const shards = await start(logs);
    const told = (state: string) =>
      firstValueFrom(shards.health$.pipe(filter((it) => it.state === state)));
    expect(await told('running')).toEqual({ state: 'running', troubles: [] });
    const lost = told('connecting');
    logs[2]!.disconnect();
    expect((await lost).troubles).toMatchObject([{ shard: 2, kind: 'connecting' }]);
    await logs[1]!.append([new Uint8Array(20)]);
    expect((await told('failed')).troubles).toMatchObject([
      { shard: 1, kind: 'failed', error: { code: 'FAILED_PRECONDITION' } },
      { shard: 2, kind: 'connecting' },
    ]);
    await shards.close();
    const [{ kind, shard } = {}, ...others] = (await told('failed')).troubles;
    expect({ kind, shard }).toEqual({ kind: 'failed', shard: 1 });
    expect(others.map((it) => it.kind)).toEqual(['closed', 'closed']);
  });

  test('says which shard keeps no snapshot, and those of the others are kept', async () => {
    const stores = keys.map(
      (_, i) => new DiskSnapshotStore(new SimulatedDisk({ random: new SeededRandom(i + 1) })),
    );
    await using shards = await start(memoryLogs(), {
      snapshots: (shard: number) => stores[shard],
    });
    await say(shards, 'a');
    expect(await shards.snapshot()).toEqual(shards.positions);
    await say(shards, 'b');
    stores[0]!.save = () => Promise.reject(new Error('the disk is gone'));
    await expect(shards.snapshot()).rejects.toThrow('the disk is gone');
    expect(await firstValueFrom(shards.health$)).toMatchObject({
      state: 'running',
      troubles: [{ shard: 0, kind: 'snapshot', error: { message: 'the disk is gone' } }],
    });
    const kept = await Promise.all(stores.map((it) => it.load()));
    const found = kept.map((it, shard) => it?.position === shards.positions[shard]);
    expect(found).toEqual([false, true, true]);
  });
});
