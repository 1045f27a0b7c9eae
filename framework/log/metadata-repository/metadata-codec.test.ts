import fc from 'fast-check';
import { Command, Snapshot } from '../../wire/gen/metadata.ts';
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
  fc.record({
    kind: fc.constant('trim' as const),
    topicId: id,
    glsn: position,
    force: fc.boolean(),
  }),
  fc.record(
    { kind: fc.constant('hold' as const), topicId: id, holder: fc.string(), position },
    { requiredKeys: ['kind', 'topicId', 'holder'] },
  ),
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

test('a command of a later version, or of an unknown kind, is not passed over', () => {
  const later = Command.encode(Command.create({ format: 3, other: '{"kind":"seal","id":1}' }));
  expect(() => commandCodec.decode(later)).toThrow(/APPLY_FAILED.*format 3/);
  const unknown = Command.encode(Command.create({ format: 1, other: '{"kind":"split","id":1}' }));
  expect(() => new Metadata().apply(commandCodec.decode(unknown))).toThrow(/APPLY_FAILED.*split/);
  const snapshot = Snapshot.encode(Snapshot.create({ format: 3, state: '{}' }));
  expect(() => snapshotCodec.decode(snapshot)).toThrow(/APPLY_FAILED.*format 3/);
});

test('a snapshot of the version before holds were known is read', () => {
  const { holds: _, ...topic } = ordered(1, 1).snapshot().topics[0]!;
  const state = JSON.stringify({ topics: [topic], deletedTopics: [topic] });
  const back = snapshotCodec.decode(Snapshot.encode(Snapshot.create({ format: 1, state })));
  expect(back.topics).toEqual([{ ...topic, holds: [] }]);
  expect(back.deletedTopics).toEqual([{ ...topic, holds: [] }]);
});

/** `streams` log streams in one topic, each ordered by `cuts` cuts that nobody has on disk yet. */
function ordered(streams: number, cuts: number): Metadata {
  const metadata = new Metadata();
  metadata.apply({ kind: 'registerStorageNode', id: 1, address: 'a' });
  metadata.apply({ kind: 'registerTopic', id: 0, acknowledge: 'all' });
  for (let id = 1; id <= streams; id++) {
    metadata.apply({ kind: 'registerLogStream', id, topicId: 1, replicas: [1] });
    const disks = [''];
    const opening = { id, epoch: 1, members: [1], disks, primaryProcess: '' };
    metadata.apply({ kind: 'unseal', ...opening });
  }
  for (let cut = 1; cut <= cuts; cut++) {
    const entries = Array.from({ length: streams }, (_, i) => ({
      logStreamId: i + 1,
      epoch: 1,
      end: 3 * cut,
      persistedVersion: 0,
    }));
    metadata.apply({ kind: 'cut', entries });
    metadata.takeChanges();
  }
  return metadata;
}

test('a snapshot restores the same state, with the history of every log stream', () => {
  const metadata = ordered(3, 1_000);
  metadata.apply({ kind: 'registerStorageNode', id: 2, address: 'b' });
  metadata.apply({ kind: 'unregisterStorageNode', id: 2 });
  metadata.apply({ kind: 'registerTopic', id: 9, acknowledge: 'majority' });
  metadata.apply({ kind: 'hold', topicId: 1, holder: 'a', position: 7 });
  metadata.apply({ kind: 'unregisterTopic', id: 9 });
  const other = new Metadata();
  other.restore(snapshotCodec.decode(snapshotCodec.encode(metadata.snapshot())));
  expect(other.snapshot()).toEqual(metadata.snapshot());
  for (const [id, { history }] of metadata.logStreams) {
    expect(other.logStreams.get(id)!.history.from(1)).toEqual(history.from(1));
    expect(history.length).toBe(1_000);
  }
});

test('a commit costs a snapshot a few bytes, and nothing that is packed is copied for it', () => {
  const metadata = ordered(20, 2_000);
  const { histories, ...rest } = metadata.snapshot();
  const bytes = snapshotCodec.encode({ histories, ...rest });
  expect(bytes.length).toBeLessThan(20 * 2_000 * 4);
  // Time grows with what is encoded anew: the commits that do not fill a piece yet.
  const again = metadata.snapshot().histories;
  for (const [i, { pieces, tail }] of again.entries()) {
    expect(pieces.every((it, k) => it === histories[i]!.pieces[k])).toBe(true);
    expect(tail.length).toBeLessThan(256 * 4);
  }
});
