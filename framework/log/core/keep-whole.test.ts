import fc from 'fast-check';
import { keepWhole, type Reach } from './keep-whole.ts';
import type { WaitingPart } from './waiting-parts.ts';

const STREAMS = [1, 2, 3, 4];

/** Log streams with parts of appends in any order; some parts did not come. */
const given = fc.array(fc.subarray(STREAMS, { minLength: 2 }), { maxLength: 8 }).chain((appends) =>
  fc.record({
    appends: fc.constant(appends),
    orders: fc.tuple(
      ...STREAMS.map((stream) => {
        const ids = appends.flatMap((it, id) => (it.includes(stream) ? [id] : []));
        return fc.shuffledSubarray(ids, { minLength: Math.max(0, ids.length - 1) });
      }),
    ),
  }),
);

function reachesOf(appends: readonly number[][], orders: readonly number[][]): Map<number, Reach> {
  return new Map(
    STREAMS.map((stream, i) => {
      const parts = orders[i]!.map((id, k): WaitingPart => {
        // One record by itself lies before each part.
        return { id, logStreams: appends[id]!, llsn: 2 * k + 2, end: 2 * k + 2 };
      });
      const reach = { end: 2 * parts.length + 1, parts: new Map(parts.map((it) => [it.id, it])) };
      return [stream, reach];
    }),
  );
}

const isTorn = (reaches: ReadonlyMap<number, Reach>): boolean =>
  [...reaches.values()].some(({ end, parts }) =>
    [...parts.values()].some(
      (it) =>
        it.end <= end &&
        it.logStreams.some((id) => {
          const other = reaches.get(id);
          const part = other?.parts.get(it.id);
          return part === undefined || part.end > other!.end;
        }),
    ),
  );

test('tears nothing, and holds back no more than it must', () => {
  fc.assert(
    fc.property(given, ({ appends, orders }) => {
      const reaches = reachesOf(appends, orders);
      keepWhole(reaches);
      expect(isTorn(reaches)).toBe(false);
      // Every other choice of ends that tears nothing lies within these.
      const ends = STREAMS.map((it) => reaches.get(it)!.end);
      const all = reachesOf(appends, orders);
      const choices = STREAMS.map((it) => [
        1,
        ...[...all.get(it)!.parts.values()].map((p) => p.end + 1),
      ]);
      for (const first of choices[0]!) {
        for (const second of choices[1]!) {
          for (const third of choices[2]!) {
            for (const fourth of choices[3]!) {
              const chosen = [first, second, third, fourth];
              if (chosen.every((it, i) => it <= ends[i]!)) continue;
              const other = new Map(
                STREAMS.map((it, i) => [it, { ...all.get(it)!, end: chosen[i]! }]),
              );
              expect(isTorn(other)).toBe(true);
            }
          }
        }
      }
    }),
    { numRuns: 200 },
  );
});

test('appends that lie in another order in each log stream are within the ends together', () => {
  const appends = [
    [1, 2],
    [1, 2],
  ];
  const reaches = reachesOf(appends, [[0, 1], [1, 0], [], []]);
  keepWhole(reaches);
  expect([reaches.get(1)!.end, reaches.get(2)!.end]).toEqual([5, 5]);
});
