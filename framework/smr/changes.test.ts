import fc from 'fast-check';
import { sleep } from '../base/index.ts';
import { MemoryLog, World } from '../testing/index.ts';
import { type ApplyContext, type ChangeEvent, type StateMachine, startReplica } from './index.ts';

type Emission = { readonly emit: readonly string[]; readonly later?: readonly string[] };
interface Noted {
  readonly position: number;
  readonly change: string;
}

/** Emits what it is told, and keeps all that it ever emitted. */
class Speaker implements StateMachine<Emission, number, Noted[]> {
  said: Noted[] = [];
  apply({ emit, later }: Emission, context: ApplyContext<Emission>): number {
    const { position } = context;
    for (const text of emit) {
      const change = { text };
      context.emit(change);
      change.text = 'changed since';
      this.said.push({ position, change: text });
    }
    if (later !== undefined) context.schedule(context.time, { emit: later });
    return this.said.length;
  }
  snapshot(): Noted[] {
    return this.said;
  }
  restore(said: Noted[]): void {
    this.said = [...said];
  }
}

type Event = ChangeEvent<{ text: string }>;
const start = (log: MemoryLog, world: World, machine: string, options = {}) =>
  startReplica({ machine: new Speaker(), log, ports: world.ports(machine), ...options });

async function play(seed: number, scene: (world: World) => Promise<void>): Promise<void> {
  const world = new World(seed, { guard: false });
  try {
    await world.play(() => scene(world));
  } finally {
    world.close();
  }
}

/** Reads events until they reach `position`, or so many were read. */
async function readUntil(
  changes: AsyncIterable<Event>,
  position: number,
  most = Number.POSITIVE_INFINITY,
): Promise<Event[]> {
  const events: Event[] = [];
  for await (const event of changes) {
    events.push(event);
    if (event.position >= position || events.length >= most) break;
  }
  return events;
}

const notedIn = (events: readonly Event[]): Noted[] =>
  events.flatMap((it) =>
    it.kind === 'bookmark'
      ? []
      : it.changes.map(({ text }) => ({ position: it.position, change: text })),
  );

const text = fc.string({ minLength: 1, maxLength: 3 });
const emission: fc.Arbitrary<Emission> = fc.oneof(
  fc.record({ emit: fc.array(text, { maxLength: 3 }) }),
  fc.record({ emit: fc.array(text, { maxLength: 2 }), later: fc.array(text, { maxLength: 2 }) }),
);

describe('changes', () => {
  test('every reader gets each once, in order, though it goes on elsewhere', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.array(emission, { minLength: 1, maxLength: 15 }),
        fc.integer({ min: 1, max: 4 }),
        (seed, emissions, most) =>
          play(seed, async (world) => {
            const { clock } = world.ports('test');
            const log = new MemoryLog();
            await using one = await start(log, world, 'one');
            await using two = await start(log, world, 'two');
            const watching = readUntil(one.changes({ from: 1 }), 1_000, 1_000);
            for (const it of emissions) await one.execute(it);
            await sleep(clock, 3_000);
            await one.execute({ emit: ['the end'] });
            await two.caughtUp();
            const { said } = one.machine;
            const last = said.at(-1)!.position;
            const events: Event[] = [];
            for (let from = 1, turn = 0; from <= last; turn++) {
              const replica = turn % 2 === 0 ? one : two;
              events.push(...(await readUntil(replica.changes({ from }), last, most)));
              from = events.at(-1)!.position + 1;
            }
            expect(notedIn(events)).toEqual(said);
            const positions = events.map(({ position }) => position);
            expect(new Set(positions).size).toBe(positions.length);
            await one.close();
            expect(notedIn(await watching)).toEqual(said);
          }),
      ),
      { numRuns: 12 },
    );
  });

  test('what is kept is bounded, and a reader that it does not reach back for is told where it begins', async () => {
    await play(1, async (world) => {
      const log = new MemoryLog();
      await using one = await start(log, world, 'one', { changesBytesMax: 1_000 });
      for (let i = 0; i < 50; i++) await one.execute({ emit: ['x'.repeat(100)] });
      const refused = await readUntil(one.changes({ from: 1 }), 1).catch((it: unknown) => it);
      const { position } = one;
      expect(refused).toMatchObject({ code: 'TRIMMED' });
      const { firstAvailable } = (refused as { details: { firstAvailable: number } }).details;
      expect(firstAvailable).toBeGreaterThan(position - 8);
      const kept = await readUntil(one.changes({ from: firstAvailable }), position);
      expect(notedIn(kept)).toEqual(one.machine.said.filter((it) => it.position >= firstAvailable));
      await using bare = await start(log, world, 'two', { changesBytesMax: 1 });
      await bare.caughtUp();
      expect(await readUntil(bare.changes({ from: position }), position)).toHaveLength(1);
    });
  });

  test('a command may emit very much, and what is small counts as what it costs', async () => {
    await play(5, async (world) => {
      await using one = await start(new MemoryLog(), world, 'one');
      await one.execute({ emit: Array.from({ length: 200_000 }, () => 'x') });
      const { position } = one;
      await one.execute({ emit: ['y'] });
      // Kept while it was the newest, however large.
      const refused = await readUntil(one.changes({ from: 1 }), 1).catch((it: unknown) => it);
      expect(refused).toMatchObject({ details: { firstAvailable: position + 1 } });
    });
  });

  test('a slow reader is told when what it has not read is gone', async () => {
    await play(2, async (world) => {
      await using one = await start(new MemoryLog(), world, 'one', { changesBytesMax: 1_000 });
      const reader = one.changes({ from: 1 })[Symbol.asyncIterator]();
      const first = reader.next();
      await one.execute({ emit: ['a'] });
      expect((await first).value).toMatchObject({ kind: 'changes', changes: [{ text: 'a' }] });
      for (let i = 0; i < 50; i++) await one.execute({ emit: ['x'.repeat(100)] });
      await expect(reader.next()).rejects.toMatchObject({ code: 'TRIMMED' });
    });
  });

  test('a replica that began with a snapshot has what comes after it', async () => {
    await play(3, async (world) => {
      const log = new MemoryLog();
      const one = await start(log, world, 'one', { snapshotEvery: 5 });
      for (let i = 0; i < 12; i++) await one.execute({ emit: [`${i}`] });
      await one.close();
      await using two = await start(log, world, 'two');
      // The snapshot may be of the end of the log.
      await two.execute({ emit: ['last'] });
      const { position } = two;
      const refused = await readUntil(two.changes({ from: 1 }), 1).catch((it: unknown) => it);
      const { firstAvailable } = (refused as { details: { firstAvailable: number } }).details;
      expect(firstAvailable).toBeGreaterThan(position - 6);
      const events = await readUntil(two.changes({ from: firstAvailable }), position);
      const expected = two.machine.said.filter((it) => it.position >= firstAvailable);
      expect(notedIn(events)).toEqual(expected);
    });
  });

  test('where nothing is emitted a bookmark comes now and then, so that a reader goes on near the end', async () => {
    await play(4, async (world) => {
      const { clock } = world.ports('test');
      await using one = await start(new MemoryLog(), world, 'one');
      const events: Event[] = [];
      const reading = one
        .changes$<{ text: string }>({ from: 1 })
        .subscribe((it) => events.push(it));
      await one.execute({ emit: ['a'] });
      for (let i = 0; i < 300; i++) {
        await one.execute({ emit: [] });
        await sleep(clock, 100);
      }
      const bookmarks = events.filter(({ kind }) => kind === 'bookmark');
      expect(bookmarks.length).toBeGreaterThan(3);
      expect(bookmarks.length).toBeLessThan(8);
      expect(bookmarks.at(-1)!.position).toBeGreaterThan(one.position - 60);
      reading.unsubscribe();
      await one.execute({ emit: ['b'] });
      expect(notedIn(events)).toHaveLength(1);
    });
  });

  test('readers end with the replica', async () => {
    await play(5, async (world) => {
      const one = await start(new MemoryLog(), world, 'one');
      const aborting = new AbortController();
      const aborted = readUntil(one.changes({ signal: aborting.signal }), 1_000);
      aborting.abort();
      expect(await aborted).toEqual([]);
      const watching = readUntil(one.changes(), 1_000);
      await one.execute({ emit: ['a'] });
      await one.close();
      expect(notedIn(await watching)).toHaveLength(1);
    });
  });
});
