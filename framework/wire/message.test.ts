import { AppendRequest, Assignment, Batch } from './gen/log.ts';
import { SubscribeResponse, SubscribeToResponse } from './gen/snpb.ts';
import { LogEntry, LogEntryMeta, MetadataDescriptor } from './gen/varlogpb.ts';
import type { MessageCodec } from './message.ts';

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

  test('a number that 64 bits cannot hold is refused: it is not written as another one', () => {
    for (const glsn of [2 ** 64, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      const encode = (): unknown => Batch.encode(Batch.create({ glsn, llsn: 1, count: 1 }));
      expect(encode).toThrow(expect.objectContaining({ code: 'POSITION_OUT_OF_RANGE' }));
    }
    // Ids of members are computed, and may be above 2^53.
    const largest = 2 ** 64 - 2 ** 11;
    expect(Batch.decode(Batch.encode(Batch.create({ glsn: largest, count: 1 }))).glsn).toBe(
      largest,
    );
  });

  test('fields that were not given have their defaults', () => {
    const back = Assignment.decode(Assignment.encode(Assignment.create({ topicId: 3 })));
    expect([back.topicId, back.epoch, back.sealed]).toEqual([3, 0, false]);
    expect(back.members).toEqual([]);
    expect(MetadataDescriptor.decode(new Uint8Array()).topics).toEqual([]);
    expect(Batch.decode(new Uint8Array()).records).toEqual(new Uint8Array());
    expect(Batch.create({}).records).toEqual(new Uint8Array());
  });

  test('are copied with what they hold, without the defaults', () => {
    const given = { topicId: 3, epoch: 0, sealed: undefined as never, noSuchField: 1 };
    const made = Assignment.create(given);
    expect(Object.keys(made).sort()).toEqual(['epoch', 'learners', 'members', 'topicId']);
    const back = Assignment.decode(Assignment.encode(Assignment.create({ topicId: 3 })));
    expect(Object.keys(Assignment.create(back)).sort()).toEqual(['learners', 'members', 'topicId']);
    expect(Assignment.encode(Assignment.create(back))).toEqual(Assignment.encode(back));
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

  test('that are encoded in place are what they are otherwise', () => {
    const numbers = [
      0,
      1,
      127,
      128,
      16_383,
      16_384,
      2 ** 31 - 1,
      2 ** 31,
      2 ** 35 + 5,
      2 ** 53 - 1,
    ];
    const written = <T>(codec: MessageCodec<T>, it: T): T => {
      const { size, write } = codec.inPlace!;
      const target = new Uint8Array(size(it) + 7);
      write(it, target, 3);
      expect([...target.subarray(-4)]).toEqual([0, 0, 0, 0]);
      return codec.decode(target.subarray(3, target.length - 4));
    };
    for (const [i, glsn] of numbers.entries()) {
      const llsn = numbers[numbers.length - 1 - i]!;
      const payload = new Uint8Array([0, 3, 200, 20_000][i % 4]!).fill(255);
      const one = SubscribeResponse.create({ glsn, llsn, payload });
      expect(written(SubscribeResponse, one)).toEqual(
        SubscribeResponse.decode(SubscribeResponse.encode(one)),
      );
      const meta = LogEntryMeta.create({ topicId: i, logStreamId: 2 ** 31 - 1, glsn, llsn });
      const logEntry = LogEntry.create({ meta, data: payload });
      const two = SubscribeToResponse.create({ logEntry });
      expect(written(SubscribeToResponse, two)).toEqual(
        SubscribeToResponse.decode(SubscribeToResponse.encode(two)),
      );
    }
  });
});
