import fc from 'fast-check';
import { BATCH_BYTES_MAX, RECORD_BYTES_MAX } from '../../base/index.ts';
import { type RecordFormat, recordBatches } from './record-input.ts';

async function* chunksOf(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

async function batchesOf(format: RecordFormat, ...chunks: Uint8Array[]): Promise<Uint8Array[][]> {
  const found: Uint8Array[][] = [];
  for await (const batch of recordBatches(chunksOf(...chunks), format)) found.push(batch);
  return found;
}

describe('records from a byte stream', () => {
  test('lines are records byte for byte, wherever the chunks are cut', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 20 }).map((it) => it.filter((byte) => byte !== 10))),
        fc.integer({ min: 1, max: 9 }),
        async (lines, size) => {
          const all = Buffer.concat(lines.flatMap((it) => [it, Buffer.from('\n')]));
          const chunks: Uint8Array[] = [];
          for (let at = 0; at < all.length; at += size) chunks.push(all.subarray(at, at + size));
          const found = (await batchesOf('text', ...chunks)).flat();
          expect(found.map((it) => [...it])).toEqual(lines.map((it) => [...it]));
        },
      ),
    ));

  test('only \\n ends a line; the last line needs none', async () => {
    const text = '\uFEFFa\rb\u2028c\u0085d\r\n\ne';
    const found = (await batchesOf('text', Buffer.from(text))).flat();
    expect(found.map((it) => Buffer.from(it).toString())).toEqual([
      '\uFEFFa\rb\u2028c\u0085d\r',
      '',
      'e',
    ]);
  });

  test('what has come is passed on before more comes', async () => {
    let asked = 0;
    async function* input(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('a\nb\nhalf of ');
      asked++;
      yield Buffer.from('c\n');
    }
    const batches = recordBatches(input(), 'text');
    expect((await batches.next()).value).toHaveLength(2);
    expect(asked).toBe(0);
    expect((await batches.next()).value?.map(String)).toEqual(['half of c']);
  });

  test('no batch is larger than can be appended', async () => {
    const line = Buffer.alloc(RECORD_BYTES_MAX / 2, 'x');
    const all = Buffer.concat(Array.from({ length: 20 }, () => [line, Buffer.from('\n')]).flat());
    const found = await batchesOf('text', all);
    expect(found.flat()).toHaveLength(20);
    for (const batch of found) {
      const framed = batch.reduce((sum, it) => sum + it.length + 4, 0);
      expect(framed).toBeLessThanOrEqual(BATCH_BYTES_MAX);
    }
  });

  test('base64 and binary', async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    const [[record] = []] = await batchesOf('binary', bytes.subarray(0, 99), bytes.subarray(99));
    expect([...record!]).toEqual([...bytes]);
    const line = Buffer.from(`${Buffer.from(bytes).toString('base64')}\r\n`);
    expect([...(await batchesOf('base64', line))[0]![0]!]).toEqual([...bytes]);
    await expect(batchesOf('base64', Buffer.from('a b\n'))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  test('what cannot be a record is not taken into memory', async () => {
    let asked = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        asked++;
        yield Buffer.alloc(65_536, 'x');
      }
    }
    for (const format of ['text', 'base64', 'binary'] as const) {
      const first = recordBatches(endless(), format).next();
      await expect(first).rejects.toMatchObject({ code: 'ENTRY_TOO_LARGE' });
    }
    expect(asked).toBeLessThan(1_400);
  });
});
