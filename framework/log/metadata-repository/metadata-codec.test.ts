import fc from 'fast-check';
import { Metadata, type MetadataCommand } from '../core/index.ts';
import { commandCodec, resultCodec, snapshotCodec } from './metadata-codec.ts';

const position = fc.oneof(fc.nat(), fc.constant(2 ** 53 - 1));
const id = fc.integer({ min: 1, max: 2 ** 31 - 1 });
const commands: fc.Arbitrary<MetadataCommand> = fc.oneof(
  fc
    .array(
      fc.record({ logStreamId: id, epoch: position, end: position, persistedVersion: position }),
      { minLength: 1, maxLength: 5 },
    )
    .map((entries) => ({ kind: 'cut' as const, entries })),
  fc.record({ kind: fc.constant('trim' as const), topicId: id, glsn: position }),
  fc.record({ kind: fc.constant('seal' as const), id, hold: fc.boolean() }),
  fc.record({ kind: fc.constant('registerStorageNode' as const), id, address: fc.string() }),
);

/** Without what a decoded message has beside its fields. */
function plain(command: MetadataCommand): MetadataCommand {
  if (command.kind !== 'cut') return command;
  const entries = command.entries.map(({ logStreamId, epoch, end, persistedVersion }) => {
    return { logStreamId, epoch, end, persistedVersion };
  });
  return { kind: 'cut', entries };
}

test('commands come back as they were, up to the largest position', () => {
  fc.assert(
    fc.property(commands, (command) => {
      const back = commandCodec.decode(commandCodec.encode(command));
      expect(plain(back)).toEqual(command);
    }),
  );
});

test('results come back as they were, and the usual one costs nothing', () => {
  expect(resultCodec.encode({ ok: true, value: 0 })).toHaveLength(0);
  const refusal = { ok: false, code: 'NOT_FOUND', what: 'there is none', next: 'look' } as const;
  for (const result of [
    { ok: true, value: 0 },
    { ok: true, value: 2 ** 53 - 1 },
    refusal,
  ] as const) {
    expect(resultCodec.decode(resultCodec.encode(result))).toEqual(result);
  }
});

test('a snapshot restores the same state', () => {
  const metadata = new Metadata();
  metadata.apply({ kind: 'registerStorageNode', id: 1, address: 'a' });
  metadata.apply({ kind: 'registerTopic', id: 0, acknowledge: 'all' });
  metadata.apply({ kind: 'registerLogStream', id: 0, topicId: 1, replicas: [1] });
  const other = new Metadata();
  other.restore(snapshotCodec.decode(snapshotCodec.encode(metadata.snapshot())));
  expect(other.snapshot()).toEqual(metadata.snapshot());
});
