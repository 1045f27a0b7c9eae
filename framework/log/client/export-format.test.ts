import fc from 'fast-check';
import { encodeBatch, VarlogError } from '../../base/index.ts';
import {
  beginOfExport,
  type ExportedBatch,
  type ExportHeader,
  endOfExport,
  exportBatch,
  readExport,
} from './export-format.ts';
import { checkExport, resumableExport } from './export-topic.ts';

const given = fc.record({
  identity: fc.string({ maxLength: 40 }),
  topicId: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  first: fc.integer({ min: 1, max: 2 ** 40 }),
  batches: fc.array(
    fc.record({
      records: fc.array(fc.uint8Array({ maxLength: 60 }), { minLength: 1, maxLength: 4 }),
      timestamp: fc.nat(),
      logStream: fc.integer({ min: 1, max: 9 }),
    }),
    { maxLength: 8 },
  ),
});

type Given = Parameters<Parameters<typeof given.map>[0]>[0];

interface Written {
  readonly bytes: Uint8Array;
  readonly header: ExportHeader;
  readonly batches: readonly ExportedBatch[];
  /** Where each batch begins in the file, and the end. */
  readonly starts: readonly number[];
}

function write({ batches, ...header }: Given): Written {
  const begin = beginOfExport(header);
  const chunks = [begin.bytes];
  const starts: number[] = [];
  const written: ExportedBatch[] = [];
  let { at } = begin;
  for (const { records, timestamp, logStream } of batches) {
    const batch = { ...encodeBatch(records), glsn: at.last + 1, timestamp, logStream };
    written.push(batch);
    starts.push(at.bytes);
    const next = exportBatch(at, batch);
    chunks.push(...next.bytes);
    at = next.at;
  }
  starts.push(at.bytes);
  chunks.push(endOfExport(at));
  return { bytes: new Uint8Array(Buffer.concat(chunks)), header, batches: written, starts };
}

/** In pieces that have nothing to do with what is in them. */
async function* pieces(bytes: Uint8Array, size = 37): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const failureOf = (bytes: Uint8Array): Promise<VarlogError> =>
  checkExport(pieces(bytes)).then(
    () => {
      throw new Error('it was taken for whole');
    },
    (error: VarlogError) => error,
  );

test('what is written is read again, in whatever pieces it comes', async () => {
  await fc.assert(
    fc.asyncProperty(given, fc.integer({ min: 1, max: 500 }), async (it, size) => {
      const { bytes, header, batches } = write(it);
      const found: ExportedBatch[] = [];
      for await (const part of readExport(pieces(bytes, size))) {
        if (part.kind === 'batch') found.push({ ...part.batch, bytes: part.batch.bytes.slice() });
        if (part.kind === 'end') {
          const records = batches.reduce((sum, { count }) => sum + count, 0);
          expect(part.summary).toMatchObject({ ...header, records });
          expect(part.summary.last).toBe(header.first + records - 1);
        }
      }
      expect(found).toEqual(batches);
    }),
  );
});

test('a file that is cut off is refused, with the byte and the record where it is', async () => {
  await fc.assert(
    fc.asyncProperty(given, fc.double({ min: 0, max: 1, noNaN: true }), async (it, share) => {
      const { bytes, batches, starts } = write(it);
      const length = Math.floor(share * (bytes.length - 1));
      const error = await failureOf(bytes.subarray(0, length));
      expect(error.code).toBe('CORRUPT');
      const whole = starts.findLastIndex((start) => start <= length);
      if (whole < 0) return expect(error.details['offset']).toBe(0);
      expect(error.details).toEqual({
        offset: starts[whole],
        position: batches[whole]?.glsn ?? it.first + batches.reduce((n, b) => n + b.count, 0),
      });
      // What is whole can be continued.
      const progress = await resumableExport(pieces(bytes.subarray(0, length)));
      expect(progress).toMatchObject({ bytes: starts[whole] });
    }),
  );
});

test('a byte that has changed anywhere is found', async () => {
  await fc.assert(
    fc.asyncProperty(given, fc.nat(), fc.integer({ min: 1, max: 255 }), async (it, place, by) => {
      const { bytes, starts } = write(it);
      const offset = place % bytes.length;
      const changed = bytes.slice();
      changed[offset]! ^= by;
      const error = await failureOf(changed);
      expect(error.code).toBe('CORRUPT');
      const begin = starts.findLast((start) => start <= offset) ?? 0;
      expect(error.details['offset']).toBe(begin);
    }),
    { numRuns: 300 },
  );
});

test('batches that are missing, repeated or of another order are found by the sum of all', async () => {
  const { bytes, starts } = write({
    ...{ identity: 'a topic', topicId: 1, first: 5 },
    batches: [1, 2, 3].map((it) => {
      return { records: [new Uint8Array([it])], timestamp: 0, logStream: 1 };
    }),
  });
  const [a, b, c, end] = starts as [number, number, number, number];
  const without = Buffer.concat([bytes.subarray(0, b), bytes.subarray(c)]);
  expect((await failureOf(without)).details).toEqual({ offset: b, position: 6 });
  const twice = Buffer.concat([bytes.subarray(0, c), bytes.subarray(b)]);
  expect((await failureOf(twice)).details).toEqual({ offset: c, position: 7 });
  const first = bytes.subarray(a, b);
  const swapped = Buffer.concat([bytes.subarray(0, a), bytes.subarray(b, c), first]);
  expect((await failureOf(swapped)).details).toEqual({ offset: a, position: 5 });
  const early = Buffer.concat([bytes.subarray(0, c), bytes.subarray(end)]);
  expect((await failureOf(early)).code).toBe('CORRUPT');
  const more = Buffer.concat([bytes, new Uint8Array(1)]);
  expect((await failureOf(more)).details).toEqual({ offset: bytes.length, position: 8 });
});

test('a later version is refused as such, not as damage', async () => {
  const { crc32c } = await import('../../store/index.ts');
  const { bytes, starts } = write({ identity: 'a topic', topicId: 1, first: 1, batches: [] });
  const later = bytes.slice();
  const view = new DataView(later.buffer);
  view.setUint32(8, 2, true);
  view.setUint32(0, crc32c(later, 4, starts[0]), true);
  expect(await failureOf(later)).toMatchObject({ code: 'FORMAT_UNKNOWN' });
  await expect(resumableExport(pieces(later))).rejects.toMatchObject({ code: 'FORMAT_UNKNOWN' });
  const flagged = bytes.slice();
  flagged[starts[0]! + 5] = 1;
  const sum = crc32c(flagged, starts[0]! + 4, bytes.length);
  new DataView(flagged.buffer).setUint32(starts[0]!, sum, true);
  expect(await failureOf(flagged)).toMatchObject({ code: 'FORMAT_UNKNOWN' });
  expect(VarlogError.is(await failureOf(new Uint8Array(100)), 'CORRUPT')).toBe(true);
});

test('equal records at equal positions have equal sums, whatever cluster they are in', async () => {
  const batches = [{ records: [new Uint8Array([1])], timestamp: 1, logStream: 1 }];
  const hashOf = async (it: Partial<Given>): Promise<string> => {
    const { bytes } = write({ identity: 'a', topicId: 1, first: 1, batches, ...it });
    return (await checkExport(pieces(bytes))).hash;
  };
  const one = await hashOf({});
  expect(await hashOf({ identity: 'b', topicId: 2 })).toBe(one);
  expect(await hashOf({ batches: [{ ...batches[0]!, timestamp: 9, logStream: 3 }] })).toBe(one);
  expect(await hashOf({ first: 2 })).not.toBe(one);
  const other = [{ ...batches[0]!, records: [new Uint8Array([2])] }];
  expect(await hashOf({ batches: other })).not.toBe(one);
});
