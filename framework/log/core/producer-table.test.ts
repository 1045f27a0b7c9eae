import { SeededRandom } from '../../testing/simulator/random.ts';
import {
  type Admission,
  type ProducedBatch,
  type ProducerLimits,
  ProducerTable,
} from './producer-table.ts';

const LIMITS: ProducerLimits = { producers: 3, batches: 4, ageMs: 1_000, keys: 1 };
const ROOMY: ProducerLimits = { producers: 100, batches: 1_000, ageMs: 1e9, keys: 1 };

/** A log stream with its table, as a primary keeps it. Every record is ordered at GLSN 10 × LLSN. */
class Log {
  readonly limits: ProducerLimits;
  table: ProducerTable;
  batches: ProducedBatch[] = [];
  ordered = 0;

  constructor(limits: ProducerLimits) {
    this.limits = limits;
    this.table = new ProducerTable(limits);
  }

  get end(): number {
    const last = this.batches.at(-1);
    return last === undefined ? 0 : last.llsn + last.count - 1;
  }

  append(id: number, epoch: number, sequence: number, count = 1, timestamp = 0): Admission {
    const producer = { id, epoch, sequence };
    const found = this.table.admit(producer, count);
    if (found.kind !== 'new') return found;
    const batch = { ...producer, count, llsn: this.end + 1, timestamp };
    this.batches.push(batch);
    this.table.note(batch);
    return found;
  }

  order(end = this.end): void {
    for (const it of this.batches) {
      if (it.llsn <= this.ordered || it.llsn > end) continue;
      this.table.ordered({ llsn: it.llsn, glsn: 10 * it.llsn, count: it.count });
      this.ordered = it.llsn + it.count - 1;
    }
  }

  cut(): void {
    this.batches = this.batches.filter((it) => it.llsn <= this.ordered);
    this.table.cut(this.ordered);
  }

  /** A table that follows from the records alone, or from the snapshot of another one and the records behind it. */
  rebuilt(snapshot = new ProducerTable(this.limits).snapshot()): ProducerTable {
    const table = new ProducerTable(this.limits);
    table.adopt(snapshot);
    for (const it of this.batches) table.note(it);
    for (const it of this.batches) {
      if (it.llsn > this.ordered) continue;
      table.ordered({ llsn: it.llsn, glsn: 10 * it.llsn, count: it.count });
    }
    return table;
  }
}

describe('a table of producers', () => {
  test('knows the next batch, a repeated one, and one that comes too early', () => {
    const log = new Log(LIMITS);
    expect(log.append(7, 1, 0, 3)).toEqual({ kind: 'new' });
    expect(log.append(7, 1, 0, 3)).toEqual({ kind: 'duplicate', llsn: 1 });
    log.order();
    expect(log.append(7, 1, 0, 3)).toEqual({ kind: 'duplicate', llsn: 1, glsn: 10 });
    expect(log.append(7, 1, 4)).toEqual({ kind: 'gap', expected: 3 });
    expect(log.append(7, 1, 0, 2)).toEqual({ kind: 'mismatch' });
    expect(log.append(7, 1, 1)).toEqual({ kind: 'mismatch' });
    expect(log.append(7, 1, 3)).toEqual({ kind: 'new' });
  });

  test('a later epoch begins at 0 and fences the earlier ones, ordered or not', () => {
    const log = new Log(LIMITS);
    log.append(7, 1, 0);
    log.order();
    expect(log.append(7, 2, 1)).toEqual({ kind: 'gap', expected: 0 });
    expect(log.append(7, 2, 0)).toEqual({ kind: 'new' });
    expect(log.append(7, 1, 1)).toEqual({ kind: 'fenced', epoch: 2 });
    log.order();
    expect(log.append(7, 1, 0)).toEqual({ kind: 'fenced', epoch: 2 });
  });

  test('what is cut off was never there', () => {
    const log = new Log(LIMITS);
    log.append(7, 1, 0);
    log.order();
    log.append(7, 1, 1);
    log.append(7, 2, 0);
    log.cut();
    expect(log.append(7, 1, 1)).toEqual({ kind: 'new' });
  });

  test('of more batches than it remembers it knows that they were there, and no more', () => {
    const log = new Log(LIMITS);
    for (let i = 0; i < 6; i++) log.append(7, 1, i);
    log.order();
    expect(log.append(7, 1, 1)).toEqual({ kind: 'passed' });
    expect(log.append(7, 1, 2)).toMatchObject({ kind: 'duplicate', llsn: 3 });
  });

  test('forgets those that appended longest ago, by number and by age, and takes nothing of them twice', () => {
    const log = new Log(LIMITS);
    for (let id = 1; id <= 4; id++) log.append(id, id, 0, 1, 100 * id);
    log.order();
    expect(log.table.snapshot().producers.map(({ id }) => id)).toEqual([2, 3, 4]);
    expect(log.append(1, 1, 0)).toEqual({ kind: 'forgotten' });
    // Opened later than those that were forgotten.
    expect(log.append(1, 5, 0, 1, 1_350)).toEqual({ kind: 'new' });
    log.order();
    expect(log.table.snapshot().producers.map(({ id }) => id)).toEqual([4, 1]);
    expect(log.table.snapshot().floor).toBe(3);
    expect(log.append(3, 3, 1)).toEqual({ kind: 'forgotten' });
    expect(log.append(4, 4, 1)).toEqual({ kind: 'new' });
  });

  test('follows from the records alone, and from any snapshot with the records behind it', () => {
    for (let seed = 1; seed <= 100; seed++) {
      const random = new SeededRandom(seed);
      const log = new Log(random.below(2) === 0 ? LIMITS : ROOMY);
      const snapshots = [log.table.snapshot()];
      let time = 0;
      let epoch = 0;
      const producers = Array.from({ length: 5 }, () => ({ epoch: 0, next: 0 }));
      for (let step = 0; step < 80; step++) {
        time += random.below(200);
        const id = random.below(producers.length);
        const it = producers[id]!;
        const kind = random.below(10);
        if (it.epoch === 0 || kind === 0) producers[id] = { epoch: ++epoch, next: 0 };
        else if (kind < 7) {
          const count = 1 + random.below(3);
          if (log.append(id, it.epoch, it.next, count, time).kind === 'new') it.next += count;
        } else if (kind === 7) log.cut();
        else log.order(log.ordered + random.below(6));
        if (kind === 7) for (const known of producers) known.epoch = 0;
        snapshots.push(log.table.snapshot());
      }
      const expected = log.table.snapshot();
      const probes = producers.flatMap((_, id) =>
        Array.from({ length: epoch }, (__, e) => ({ id, epoch: e + 1, sequence: random.below(9) })),
      );
      const answers = (table: ProducerTable): Admission[] => probes.map((it) => table.admit(it, 1));
      for (const snapshot of [snapshots[0]!, random.pick(snapshots), random.pick(snapshots)]) {
        const table = log.rebuilt(snapshot);
        expect({ seed, ...table.snapshot() }).toEqual({ seed, ...expected });
        expect(answers(table)).toEqual(answers(log.table));
      }
    }
  });

  test('takes over what follows from more records, and nothing else', () => {
    const early = new Log(ROOMY);
    early.append(7, 1, 0);
    early.order();
    const before = early.table.snapshot();
    early.append(7, 1, 1);
    early.order();
    early.table.adopt(before);
    expect(early.append(7, 1, 1)).toEqual({ kind: 'duplicate', llsn: 2, glsn: 20 });
    const later = new Log({ ...ROOMY, producers: 1 });
    for (const id of [7, 8, 9]) later.append(id, id, 0);
    later.order();
    early.table.adopt(later.table.snapshot());
    expect(early.table.snapshot()).toEqual(later.table.snapshot());
    expect(early.table.admit({ id: 7, epoch: 1, sequence: 2 }, 1)).toEqual({ kind: 'forgotten' });
  });

  test('takes each batch once, in order, whatever is forgotten, as a model does that forgets nothing', () => {
    let forgotten = 0;
    for (let seed = 1; seed <= 100; seed++) {
      const random = new SeededRandom(seed);
      const log = new Log(LIMITS);
      const sent: { id: number; epoch: number; sequence: number; count: number }[] = [];
      let epoch = 0;
      let time = 0;
      const open = new Map<number, { epoch: number; next: number }>();
      for (let step = 0; step < 120; step++) {
        time += random.below(100);
        const id = random.below(6);
        const it = open.get(id);
        if (it === undefined || random.below(12) === 0) {
          open.set(id, { epoch: ++epoch, next: 0 });
        } else if (random.below(3) > 0) {
          const count = 1 + random.below(2);
          sent.push({ id, epoch: it.epoch, sequence: it.next, count });
          it.next += count;
        }
        // Again, late, and in any order.
        const again = sent[random.below(sent.length)];
        if (again !== undefined) {
          const { kind } = log.append(again.id, again.epoch, again.sequence, again.count, time);
          if (kind === 'forgotten') forgotten++;
        }
        const what = random.below(8);
        if (what === 0) log.cut();
        else if (what < 4) log.order(log.ordered + random.below(8));
        else if (what === 4) log.table = log.rebuilt();
      }
      log.order();
      const newest = new Map<number, { epoch: number; next: number }>();
      for (const { id, epoch: its, sequence, count } of log.batches) {
        const before = newest.get(id);
        const next = before?.epoch === its ? before.next : 0;
        expect({ seed, id, sequence, old: its < (before?.epoch ?? 0) }).toEqual({
          ...{ seed, id, sequence: next, old: false },
        });
        newest.set(id, { epoch: its, next: next + count });
      }
      // Where a batch is said to stand, it stands.
      for (const it of sent) {
        const found = log.table.admit(it, it.count);
        if (found.kind !== 'duplicate') continue;
        const there = log.batches.find(({ llsn }) => llsn === found.llsn);
        expect(there).toMatchObject(it);
        expect(found.glsn).toBe(10 * found.llsn);
      }
    }
    expect(forgotten).toBeGreaterThan(30);
  });
});
