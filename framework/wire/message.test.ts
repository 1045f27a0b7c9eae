import { AppendRequest, Assignment, Batch } from './gen/log.ts';
import { MetadataDescriptor } from './gen/varlogpb.ts';

describe('generated messages', () => {
  test('64-bit fields come back as exact numbers', () => {
    const batch = Batch.create({
      llsn: 2 ** 53 - 1,
      glsn: 7,
      count: 1,
      records: new Uint8Array([1]),
    });
    const back = Batch.decode(Batch.encode(batch));
    expect(back.llsn).toBe(2 ** 53 - 1);
    expect(typeof back.glsn).toBe('number');
    expect([...back.records]).toEqual([1]);
  });

  test('fields that were not given have their defaults', () => {
    const back = Assignment.decode(Assignment.encode(Assignment.create({ topicId: 3 })));
    expect([back.topicId, back.epoch, back.sealed]).toEqual([3, 0, false]);
    expect(back.members).toEqual([]);
    expect(MetadataDescriptor.decode(new Uint8Array()).topics).toEqual([]);
  });

  test('have bytes of their own, also after one that could not be encoded', () => {
    const one = Batch.create({ llsn: 1, count: 1, records: new Uint8Array(5_000).fill(1) });
    const two = Batch.create({ llsn: 2, count: 1, records: new Uint8Array(5_000).fill(2) });
    const bytes = Batch.encode(one);
    const size = Batch.encode(two).length;
    const broken = { batches: [one, undefined] } as never;
    expect(() => AppendRequest.encode(broken)).toThrow();
    expect(Batch.encode(two)).toHaveLength(size);
    expect(Batch.decode(bytes)).toEqual(one);
  });

  test('bytes that are no such message are refused', () => {
    expect(() => AppendRequest.decode(new Uint8Array([255, 255, 255]))).toThrow(/INVALID_ARGUMENT/);
  });
});
