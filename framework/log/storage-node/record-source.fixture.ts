import fc from 'fast-check';
import { VarlogError } from '../../base/index.ts';
import type { RecordSource } from './record-source.ts';

/** A source to be tested, new and empty, and what changes it. */
export interface SourceUnderTest {
  readonly source: RecordSource;
  /** Stores a batch of `count` records after the last one. */
  append(count: number, payload: Uint8Array, timestamp: number): Promise<void>;
  /** Removes what lies below LLSN `first`. */
  trim(first: number): Promise<void>;
  close(): Promise<void>;
}

interface Stored {
  readonly position: number;
  readonly count: number;
  readonly payload: Uint8Array;
  readonly timestamp?: number | undefined;
}

type Action =
  | {
      readonly kind: 'append';
      readonly count: number;
      readonly bytes: number;
      readonly later: number;
    }
  | { readonly kind: 'trim'; readonly share: number }
  | { readonly kind: 'trimWhileReading'; readonly share: number };

const share = fc.double({ min: 0, max: 1, noNaN: true });
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      count: fc.integer({ min: 1, max: 4 }),
      bytes: fc.integer({ min: 1, max: 900 }),
      later: fc.nat(2),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('trim' as const), share }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('trimWhileReading' as const), share }) },
);

const endOf = ({ position, count }: Stored): number => position + count - 1;

/** Tests that every {@link RecordSource} has to pass. */
export function recordSourceContract(name: string, make: () => Promise<SourceUnderTest>): void {
  test(`${name} keeps the contract of a record source`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 1, maxLength: 15 }), async (actions) => {
        const it = await make();
        const stored: Stored[] = [];
        try {
          for (const act of actions) {
            const end = stored.length === 0 ? 0 : endOf(stored.at(-1)!);
            if (act.kind === 'append') {
              const payload = new Uint8Array(act.bytes).fill(stored.length + 1);
              const timestamp = (stored.at(-1)?.timestamp ?? 0) + act.later;
              stored.push({ position: end + 1, count: act.count, payload, timestamp });
              await it.append(act.count, payload, timestamp);
            } else {
              const { first } = it.source;
              const to = first + Math.floor(act.share * (end + 1 - first));
              const isDuring = act.kind === 'trimWhileReading';
              const during = isDuring ? [readDuring(it, stored), searchDuring(it, stored)] : [];
              await it.trim(to);
              await Promise.all(during);
              expect(it.source.first).toBeGreaterThanOrEqual(first);
              expect(it.source.first).toBe(to);
            }
            if (act.kind !== 'append') await checkAll(it.source, stored);
          }
          await checkAll(it.source, stored);
          await checkTimes(it.source, stored);
        } finally {
          await it.close();
        }
      }),
      { numRuns: 40 },
    );
  });
}

/** A read that something is trimmed under gives what it was asked for, or says that it is gone. */
async function readDuring({ source }: SourceUnderTest, stored: readonly Stored[]): Promise<void> {
  const from = source.first;
  const read = async () => source.read(from, 1_000);
  const found = await read().catch((error: unknown) => {
    if (!VarlogError.is(error, 'TRIMMED')) throw error;
    return undefined;
  });
  if (found !== undefined) expectFrom(found, from, stored);
}

/** Reads from every record that there ever was, and one further. */
async function checkAll(source: RecordSource, stored: readonly Stored[]): Promise<void> {
  const end = stored.length === 0 ? 0 : endOf(stored.at(-1)!);
  for (let from = 1; from <= end + 1; from++) {
    for (const bytesMax of [1, 1_500]) {
      const read = async () => source.read(from, bytesMax);
      if (from < source.first) {
        const refused = await read().catch((error: unknown) => error);
        expect(VarlogError.is(refused, 'TRIMMED')).toBe(true);
        continue;
      }
      const found = await read();
      expectFrom(found, from, stored);
      const payload = found.slice(0, -1).reduce((sum, it) => sum + it.payload.length, 0);
      expect(payload).toBeLessThan(bytesMax);
    }
  }
}

/** A search that something is trimmed under gives what was right before or is right now. */
async function searchDuring({ source }: SourceUnderTest, stored: readonly Stored[]): Promise<void> {
  const end = stored.length === 0 ? 0 : endOf(stored.at(-1)!);
  const time = stored[stored.length >> 1]?.timestamp ?? 0;
  const before = since(stored, source.first, time, end);
  const found = await source.firstSince(time, end);
  const now = since(stored, source.first, time, end);
  expect([before, now]).toContainEqual(found === undefined ? undefined : found.position);
}

/** Looks for every time that there is, up to every record. */
async function checkTimes(source: RecordSource, stored: readonly Stored[]): Promise<void> {
  const times = new Set(stored.map(({ timestamp = 0 }) => timestamp));
  const end = stored.length === 0 ? 0 : endOf(stored.at(-1)!);
  for (const time of [0, ...times, ...[...times].map((it) => it + 1)]) {
    for (const through of [...stored.map(endOf).filter((it) => it >= source.first), end]) {
      const found = await source.firstSince(time, through);
      expect(found?.position).toBe(since(stored, source.first, time, through));
    }
  }
}

/** The first batch since `time` of those that hold a record from `first` to `through`. */
function since(stored: readonly Stored[], first: number, time: number, through: number) {
  const held = stored.filter((it) => endOf(it) >= first && endOf(it) <= through);
  return held.find(({ timestamp = 0 }) => timestamp >= time)?.position;
}

/** They are whole batches, the first with record `from` in it, with no gap; none only where there is none. */
function expectFrom(found: readonly Stored[], from: number, stored: readonly Stored[]): void {
  const begin = stored.findIndex((it) => endOf(it) >= from);
  const expected = begin === -1 ? [] : stored.slice(begin, begin + found.length);
  if (begin !== -1) expect(found.length).toBeGreaterThan(0);
  expect(found.map(plain)).toEqual(expected.map(plain));
}

function plain({ position, count, payload }: Stored): string {
  return `${position}+${count} ${payload.length} bytes of ${new Set(payload).size === 1 ? payload[0] : 'several'}`;
}
