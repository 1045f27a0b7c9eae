import fc from 'fast-check';
import { Command } from '../wire/gen/metadata.ts';
import {
  FIRST_FEATURE_LEVEL,
  Metadata,
  type MetadataCommand,
  NEWEST_FEATURE_LEVEL,
} from './core/index.ts';
import { commandCodec, resultCodec } from './metadata-codec.ts';
import { OLD_COMMANDS, OLD_RESULTS } from './metadata-repository/old-formats.fixture.ts';

const { encode, decode } = commandCodec(NEWEST_FEATURE_LEVEL);
const position = fc.oneof(fc.nat(), fc.constant(2 ** 53 - 1));
const id = fc.integer({ min: 0, max: 2 ** 31 - 1 });
const ids = fc.array(id, { maxLength: 4 });
const text = fc.string();
const named = fc.string({ minLength: 1 });
const kind = <K extends MetadataCommand['kind']>(name: K) => ({ kind: fc.constant(name) });
const conditions = { revision: position, by: named };

const entries = fc.array(
  fc.record({ logStreamId: id, epoch: position, end: position, persistedVersion: position }),
  { maxLength: 5 },
);

const commands: fc.Arbitrary<MetadataCommand> = fc.oneof<fc.Arbitrary<MetadataCommand>[]>(
  fc.record({ ...kind('cut'), entries }),
  fc.record({ ...kind('cutTogether'), entries }),
  fc.record({ ...kind('registerStorageNode'), id, address: text, disk: text, move: fc.boolean() }),
  fc.record({ ...kind('replaceStorageNode'), id, disk: text }),
  fc.record({ ...kind('confirmRemovals'), id, disk: text, logStreams: ids }),
  fc.record({ ...kind('unregisterStorageNode'), id }),
  fc.record({
    ...kind('registerTopic'),
    id,
    acknowledge: fc.constantFrom<('all' | 'majority')[]>('all', 'majority'),
  }),
  fc.record({ ...kind('unregisterTopic'), id }),
  fc.record({
    ...kind('setRetention'),
    topicId: id,
    retention: fc.record(
      { bytes: position.filter((it) => it > 0), ageMs: position.filter((it) => it > 0) },
      { requiredKeys: [] },
    ),
  }),
  fc.record({ ...kind('beginTopic'), topicId: id, glsn: position }),
  fc.record({ ...kind('fence'), topicId: id, logStreamId: id, token: position }),
  fc.record({ ...kind('drawFencingToken'), topicId: id }),
  fc.record({ ...kind('restoreTopic'), id }),
  fc.record({ ...kind('registerLogStream'), id, topicId: id, replicas: ids }),
  fc.record({ ...kind('unregisterLogStream'), id }),
  fc.record(
    { ...kind('setReplicas'), id, replicas: ids, revision: position, holders: ids, by: named },
    { requiredKeys: ['kind', 'id', 'replicas', 'revision', 'holders'] },
  ),
  fc.record(
    { ...kind('seal'), id, byOperator: fc.boolean(), ...conditions },
    { requiredKeys: ['kind', 'id', 'byOperator'] },
  ),
  fc.record({ ...kind('release'), id }),
  fc.record(
    {
      ...kind('unseal'),
      id,
      epoch: position,
      members: ids,
      disks: fc.array(text, { maxLength: 4 }),
      primaryProcess: text,
      ...conditions,
    },
    { requiredKeys: ['kind', 'id', 'epoch', 'members', 'disks', 'primaryProcess'] },
  ),
  fc.record({ ...kind('trim'), topicId: id, glsn: position, force: fc.boolean() }),
  fc.record(
    { ...kind('hold'), topicId: id, holder: text, position },
    { requiredKeys: ['kind', 'topicId', 'holder'] },
  ),
  fc.record({
    ...kind('openConsumer'),
    topicId: id,
    name: text,
    owner: text,
    begin: fc.oneof(fc.constantFrom<('start' | 'end')[]>('start', 'end'), position),
  }),
  fc.record({
    ...kind('addConsumer'),
    topicId: id,
    name: text,
    begin: fc.oneof(fc.constantFrom<('start' | 'end')[]>('start', 'end'), position),
  }),
  fc.record({
    ...kind('advanceConsumer'),
    topicId: id,
    name: text,
    epoch: position,
    sequence: position,
    position,
    parked: fc.array(
      fc.record({ glsn: position, attempts: id, cause: text, at: position, replay: fc.boolean() }),
      { maxLength: 3 },
    ),
    settled: fc.array(position, { maxLength: 3 }),
  }),
  fc.record({
    ...kind('decideParked'),
    topicId: id,
    name: text,
    glsns: fc.array(position, { maxLength: 3 }),
    drop: fc.boolean(),
  }),
  fc.record({ ...kind('removeConsumer'), topicId: id, name: text }),
  fc.record({ ...kind('raiseFeatureLevel'), to: fc.nat() }),
  fc.record({ ...kind('drainStorageNode'), id, cancel: fc.boolean() }),
  fc.record(
    { ...kind('moveReplicas'), id, replicas: ids, leaving: ids, revision: position, by: named },
    { requiredKeys: ['kind', 'id', 'replicas', 'leaving', 'revision'] },
  ),
  fc.record({ ...kind('setReplicationFactor'), topicId: id, replicationFactor: fc.nat() }),
);

/** Without what a decoded message has beside its fields. */
function plain(command: MetadataCommand): MetadataCommand {
  if (command.kind !== 'cut' && command.kind !== 'cutTogether') return command;
  const entries = command.entries.map(({ logStreamId, epoch, end, persistedVersion }) => {
    return { logStreamId, epoch, end, persistedVersion };
  });
  return { kind: command.kind, entries };
}

test('commands come back as they were, up to the largest position, and none is JSON', () => {
  fc.assert(
    fc.property(commands, (command) => {
      const bytes = encode(command);
      expect(plain(decode(bytes))).toEqual(command);
      expect(Command.decode(bytes).other).toBe('');
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

test('what was written before there were feature levels is read', () => {
  const first = commandCodec(FIRST_FEATURE_LEVEL);
  const metadata = new Metadata();
  const kinds = OLD_COMMANDS.map((it) => {
    const command = first.decode(it);
    expect(metadata.apply(command).result).toEqual({ ok: true, value: expect.any(Number) });
    return command.kind;
  });
  expect(kinds).toEqual([
    'registerStorageNode',
    'registerTopic',
    'registerLogStream',
    'unseal',
    'cut',
    'hold',
    'registerTopic',
    'unregisterTopic',
    'seal',
  ]);
  expect(metadata.logStreams.get(1)).toMatchObject({
    sealed: true,
    sealedByOperator: true,
    end: 5,
  });
  expect(OLD_RESULTS.map((it) => resultCodec.decode(it))).toEqual([
    { ok: true, value: 5 },
    { ok: false, code: 'NOT_FOUND', what: 'w', next: 'n' },
  ]);
});

test('a command of a higher level, or of an unknown kind, is not passed over', () => {
  const level = NEWEST_FEATURE_LEVEL + 1;
  const later = Command.encode(Command.create({ level, number: 1_000 }));
  expect(() => decode(later)).toThrow(/APPLY_FAILED.*level.*start this member with the version/);
  const unknown = Command.encode(Command.create({ level: FIRST_FEATURE_LEVEL, number: 1_000 }));
  expect(() => decode(unknown)).toThrow(/APPLY_FAILED.*1000.*version/);
  const old = Command.encode(Command.create({ level: 1, other: '{"kind":"split","id":1}' }));
  expect(() => new Metadata().apply(decode(old))).toThrow(/APPLY_FAILED.*split/);
});

test('a cut takes a few bytes', () => {
  const entries = [{ logStreamId: 1, epoch: 2, end: 1_000_000, persistedVersion: 40_000 }];
  expect(encode({ kind: 'cut', entries }).length).toBeLessThan(20);
});
