import fc from 'fast-check';
import { Snapshot } from '../wire/gen/smr.ts';
import { type CommandOutcome, decodeOutcome } from './command-outcome.ts';
import { RequestTable } from './request-table.ts';

interface Known {
  readonly id: string;
  readonly position: number;
  readonly time: number;
  readonly outcome: CommandOutcome;
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const LIMITS = { keepMs: 100, bytesMax: 40 * 300 };

/** What the table must do, as plainly as it can be said. */
class Model {
  known: Known[] = [];
  forgotten = 0;
  private bytes = 0;

  add(it: Known, bytesMax: number): void {
    this.known.push(it);
    this.bytes += costOf(it);
    while (this.bytes > bytesMax) this.forgetOldest();
  }

  expire(time: number): void {
    while (this.known.length > 0 && time - this.known[0]!.time > LIMITS.keepMs) this.forgetOldest();
  }

  private forgetOldest(): void {
    const oldest = this.known.shift()!;
    this.forgotten = oldest.position;
    this.bytes -= costOf(oldest);
  }
}

function costOf({ id, outcome }: Known): number {
  return 256 + utf8(id).length + outcome.length;
}

const bytesOf = (it: CommandOutcome): unknown =>
  typeof it === 'string' ? it : Buffer.from(it).toString('latin1');

const outcome = fc.oneof(
  { weight: 20, arbitrary: fc.uint8Array({ maxLength: 20 }) },
  // Larger than what is kept in one piece.
  { weight: 1, arbitrary: fc.nat(2_000).map((more) => new Uint8Array(65_000 + more).fill(more)) },
  {
    weight: 3,
    arbitrary: fc.constantFrom<CommandOutcome>('requestMismatch', 'skipped', 'unencodable'),
  },
);
const step = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({
      id: fc.oneof(fc.string({ minLength: 1, maxLength: 3 }), fc.string({ minLength: 120 })),
      passed: fc.nat(9),
      jump: fc.constantFrom(1, 3, 2 ** 33),
      outcome,
    }),
  },
  { weight: 1, arbitrary: fc.constant('copy' as const) },
);

test('every request is known until it is too old or too many came behind it, also from a snapshot', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 400, size: 'max' }),
      fc.uint8Array({ minLength: 8, maxLength: 8 }),
      fc.constantFrom(LIMITS.bytesMax, 200_000),
      (steps, tag, bytesMax) => {
        const model = new Model();
        const limits = { ...LIMITS, bytesMax };
        const touched = new Set<string>();
        let table = new RequestTable(limits, (id) => touched.add(id));
        table.bind(tag);
        let [position, time] = [0, 0];
        for (const it of steps) {
          if (it === 'copy') {
            const copy = new RequestTable(limits, (id) => touched.add(id));
            copy.bind(tag);
            const { requests } = Snapshot.decode(Buffer.concat(table.encode()));
            const restored = copy.fresh();
            for (const one of requests) restored.restore(one);
            expect(copy.size).toBe(0);
            copy.replace(restored, table.forgotten);
            table = copy;
            continue;
          }
          position += it.jump;
          time += it.passed;
          model.expire(time);
          table.expire(time);
          if (!model.known.some(({ id }) => id === it.id)) {
            const added = { id: it.id, position, time, outcome: it.outcome };
            touched.clear();
            model.add(added, bytesMax);
            table.add({ ...added, id: utf8(it.id), length: 0, checksum: position % 2 ** 32 });
            expect(touched).toContain(it.id);
          }
          expect(table.size).toBe(model.known.length);
          expect(table.forgotten).toBe(model.forgotten);
          const known = model.known.find(({ id }) => id === it.id);
          expect(table.find(utf8(it.id))?.position).toBe(known?.position);
        }
        const encoded = Snapshot.decode(Buffer.concat(table.encode())).requests;
        expect(
          encoded.map((one) => ({
            id: one.id,
            position: one.position,
            time: one.time,
            outcome: bytesOf(decodeOutcome(one)),
          })),
        ).toEqual(model.known.map((one) => ({ ...one, outcome: bytesOf(one.outcome) })));
        for (const known of model.known) {
          const one = table.encodeOne(known.id)!;
          expect([one.position, one.checksum]).toEqual([known.position, known.position % 2 ** 32]);
        }
      },
    ),
    { numRuns: 40 },
  );
});

test('ids that were forgotten are not found, however many there were, and cost no memory', () => {
  const table = new RequestTable({ keepMs: 1_000, bytesMax: 5_000 * (256 + 8 + 9) });
  table.bind(new Uint8Array(8));
  const idOf = (i: number): Uint8Array => utf8(`id${i}`.padEnd(8));
  for (let i = 1; i <= 50_000; i++) {
    const request = { length: 1, checksum: 2, position: i, time: 1, outcome: new Uint8Array(9) };
    table.add({ id: idOf(i), ...request });
  }
  expect([table.size, table.forgotten]).toEqual([5_000, 45_000]);
  for (let i = 1; i <= 50_000; i++)
    expect(table.find(idOf(i))?.position).toBe(i > 45_000 ? i : undefined);
  const kept = table.encode().reduce((sum, it) => sum + it.buffer.byteLength, 0);
  expect(kept).toBeLessThan(5_000 * 100 + 2 * 65_536);
});
