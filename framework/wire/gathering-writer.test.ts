import fc from 'fast-check';
import protobuf from 'protobufjs/light.js';
import { GatheringWriter } from './gathering-writer.ts';
import { descriptor } from './gen/descriptor.ts';
import { AppendBatch, AppendRequest } from './gen/log.ts';

// Messages in messages, with fields of bytes beside others.
const type = protobuf.Root.fromJSON(descriptor as protobuf.INamespace).lookupType(
  'varlog.log.FetchResponse',
);

const batches = fc.array(
  fc.record({
    llsn: fc.nat(),
    count: fc.nat(300),
    records: fc
      .oneof(fc.nat(300), fc.integer({ min: 900, max: 1_100 }), fc.constant(70_000))
      .map((length) => new Uint8Array(length).fill(length % 251)),
    timestamp: fc.nat(),
  }),
);
const responses = fc.record({
  batches,
  firstLlsn: fc.nat(),
  commits: fc.array(fc.record({ version: fc.nat() })),
});

test('writes what the writer of protobufjs writes, in pieces and whole', () => {
  const writer = new GatheringWriter();
  fc.assert(
    fc.property(responses, (response) => {
      const wanted = Buffer.from(type.encode(response, new protobuf.BufferWriter()).finish());
      writer.reset();
      type.encode(response, writer);
      expect(Buffer.concat(writer.parts()).equals(wanted)).toBe(true);
      expect(Buffer.from(writer.whole()).equals(wanted)).toBe(true);
    }),
  );
});

test('large bytes are not copied, small ones are', () => {
  const large = new Uint8Array(5_000).fill(1);
  const small = new Uint8Array(50).fill(2);
  const of = (records: Uint8Array) =>
    AppendBatch.create({ sequence: 1, topicId: 2, logStreamId: 3, count: 4, records });
  const request = AppendRequest.create({ batches: [of(large), of(small), of(large)] });
  const parts = AppendRequest.encodeParts(request);
  expect(parts.filter((it) => it === large)).toHaveLength(2);
  expect(parts.some((it) => it.buffer === small.buffer)).toBe(false);
  expect(AppendRequest.decode(Buffer.concat(parts))).toEqual(request);
});
