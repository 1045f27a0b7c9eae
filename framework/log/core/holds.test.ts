import fc from 'fast-check';
import { HOLDS_MAX } from './holds.ts';
import { Metadata, type MetadataCommand } from './index.ts';

const TAIL = 30;

/** Topic 1 with so many records. */
function topicOf(tail: number): Metadata {
  const metadata = new Metadata();
  metadata.apply({ kind: 'registerStorageNode', id: 1, address: 'a' });
  metadata.apply({ kind: 'registerTopic', id: 1, acknowledge: 'all' });
  metadata.apply({ kind: 'registerLogStream', id: 1, topicId: 1, replicas: [1] });
  const opening = { id: 1, epoch: 1, members: [1], disks: [''], primaryProcess: '' };
  metadata.apply({ kind: 'unseal', ...opening });
  const entries = [{ logStreamId: 1, epoch: 1, end: tail, persistedVersion: 0 }];
  if (tail > 0) metadata.apply({ kind: 'cut', entries });
  return metadata;
}

const hold = (holder: string, position?: number): MetadataCommand =>
  position === undefined
    ? { kind: 'hold', topicId: 1, holder }
    : { kind: 'hold', topicId: 1, holder, position };
const trim = (glsn: number, force?: boolean): MetadataCommand =>
  force === undefined
    ? { kind: 'trim', topicId: 1, glsn }
    : { kind: 'trim', topicId: 1, glsn, force };

test('a trim stops before what is held, and says who holds it and what to do', () => {
  const metadata = topicOf(TAIL);
  metadata.apply(hold('slow one', 10));
  metadata.apply(hold('quick one', 20));
  expect(metadata.apply(trim(11)).result).toEqual({
    ok: false,
    code: 'FAILED_PRECONDITION',
    what: expect.stringMatching(/"slow one".* 10$/),
    next: expect.stringMatching(/10 .*topic release 1 'slow one'.*force/),
  });
  expect(metadata.topics.get(1)!.trimmed).toBe(0);
  expect(metadata.apply(trim(10)).result).toMatchObject({ ok: true });
  metadata.apply(hold('slow one', 25));
  expect(metadata.apply(trim(21)).result).toMatchObject({
    what: expect.stringContaining('quick one'),
  });
  metadata.apply(hold('quick one'));
  expect(metadata.apply(trim(25)).result).toMatchObject({ ok: true });
  expect(metadata.apply(trim(26)).result).toMatchObject({ ok: false });
  expect(metadata.apply(trim(26, true)).result).toMatchObject({ ok: true });
  expect(metadata.topics.get(1)!.trimmed).toBe(26);
  // Whoever repeats, without force, what was done already hears that it is done.
  expect(metadata.apply(trim(26)).result).toMatchObject({ ok: true });
});

test.each<[string, MetadataCommand, string]>([
  ['a hold beyond the tail', hold('a', TAIL + 1), 'BEYOND_TAIL'],
  ['a hold of what is gone', hold('a', 4), 'TRIMMED'],
  ['a holder without a name', hold('', 5), 'INVALID_ARGUMENT'],
  ['a holder with a name without end', hold('x'.repeat(201), 5), 'INVALID_ARGUMENT'],
  ['to release what nobody holds', hold('a'), 'NOT_FOUND'],
  ['an unknown topic', { ...hold('a', 0), topicId: 9 } as MetadataCommand, 'TOPIC_NOT_FOUND'],
])('refuses %s, and changes nothing', (_, command, code) => {
  const metadata = topicOf(TAIL);
  metadata.apply(trim(5));
  const before = metadata.snapshot();
  expect(metadata.apply(command).result).toMatchObject({ ok: false, code });
  expect(metadata.snapshot()).toEqual(before);
});

test('holds are bounded: one more is refused, and those that are there can move', () => {
  const metadata = topicOf(TAIL);
  for (let i = 0; i < HOLDS_MAX; i++) {
    expect(metadata.apply(hold(`${i}`, 0)).result).toMatchObject({ ok: true });
  }
  expect(metadata.apply(hold('one more', 0)).result).toMatchObject({
    code: 'FAILED_PRECONDITION',
    what: expect.stringContaining('1000 holds'),
  });
  expect(metadata.apply(hold('7', 3)).result).toMatchObject({ ok: true });
  metadata.apply(hold('8'));
  expect(metadata.apply(hold('one more', 0)).result).toMatchObject({ ok: true });
});

test('a topic that comes back comes back with its holds', () => {
  const metadata = topicOf(TAIL);
  metadata.apply(hold('a', 10));
  metadata.apply({ kind: 'unregisterTopic', id: 1 });
  const other = new Metadata();
  other.restore(metadata.snapshot());
  other.apply({ kind: 'restoreTopic', id: 1 });
  expect(other.apply(trim(11)).result).toMatchObject({ ok: false, code: 'FAILED_PRECONDITION' });
});

test('what is held is never trimmed without force, whatever comes in whatever order', () => {
  const names = fc.constantFrom('a', 'b', 'c');
  const places = fc.nat(TAIL);
  const commands = fc.array(
    fc.oneof(
      fc.tuple(names, places).map(([holder, position]) => hold(holder, position)),
      names.map((holder) => hold(holder)),
      places.map((glsn) => trim(glsn)),
      { weight: 1, arbitrary: places.map((glsn) => trim(glsn, glsn % 7 === 0)) },
    ),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(commands, fc.nat(40), (list, at) => {
      let metadata = topicOf(TAIL);
      const positions = new Map<string, number>();
      let trimmed = 0;
      for (const [i, it] of list.entries()) {
        if (i === at) {
          const snapshot = metadata.snapshot();
          metadata = new Metadata();
          metadata.restore(snapshot);
        }
        const { ok } = metadata.apply(it).result;
        if (it.kind === 'hold') {
          if (it.position === undefined) {
            expect(ok).toBe(positions.delete(it.holder));
          } else {
            expect(ok).toBe(it.position >= trimmed);
            if (ok) positions.set(it.holder, it.position);
          }
        } else if (it.kind === 'trim') {
          const isFree = [...positions.values()].every((position) => it.glsn <= position);
          expect(ok).toBe(isFree || it.force === true || it.glsn <= trimmed);
          if (ok) trimmed = Math.max(trimmed, it.glsn);
        }
        expect(metadata.topics.get(1)!.trimmed).toBe(trimmed);
      }
    }),
  );
});
