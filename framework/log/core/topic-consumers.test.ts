import { Metadata, type MetadataCommand } from './index.ts';

const parkedAt = (glsn: number, cause = 'why') => ({
  glsn,
  attempts: 5,
  cause,
  at: 1_000,
  replay: false,
});

/** A topic of 20 records, and what is done to it. */
function makeTopic() {
  const metadata = new Metadata();
  const apply = (command: MetadataCommand) => metadata.apply(command).result;
  apply({ kind: 'registerTopic', id: 1, acknowledge: 'majority' });
  apply({ kind: 'beginTopic', topicId: 1, glsn: 20 });
  const topic = metadata.topics.get(1)!;
  // As if all 20 were there still.
  Object.assign(topic, { trimmed: 0 });
  const open = (owner: string, begin: 'start' | 'end' | number = 'start', name = 'billing') =>
    apply({ kind: 'openConsumer', topicId: 1, name, owner, begin });
  const advance = (epoch: number, sequence: number, position: number, more = {}) =>
    apply({
      kind: 'advanceConsumer',
      topicId: 1,
      name: 'billing',
      epoch,
      sequence,
      position,
      parked: [],
      settled: [],
      ...more,
    });
  const decide = (drop: boolean, glsns: readonly number[] = []) =>
    apply({ kind: 'decideParked', topicId: 1, name: 'billing', glsns, drop });
  const trim = (glsn: number) => apply({ kind: 'trim', topicId: 1, glsn, force: false });
  return { metadata, topic, apply, open, advance, decide, trim };
}

test('a life has an epoch above all before, of all consumers, and is the same to who asks again', () => {
  const { topic, open } = makeTopic();
  expect(open('a')).toEqual({ ok: true, value: 1 });
  expect(open('a')).toEqual({ ok: true, value: 1 });
  expect(open('b', 'end', 'other')).toEqual({ ok: true, value: 2 });
  expect(open('c')).toEqual({ ok: true, value: 3 });
  expect(open('a')).toEqual({ ok: true, value: 4 });
  expect(topic.consumers).toMatchObject([
    { name: 'billing', epoch: 4, began: 0, position: 0 },
    { name: 'other', epoch: 2, began: 20, position: 20 },
  ]);
});

test('one that is added begins there when it runs for the first time, and holds what comes until then', () => {
  const { topic, apply, open, advance, trim } = makeTopic();
  const add = (name: string, begin: 'start' | 'end' | number) =>
    apply({ kind: 'addConsumer', topicId: 1, name, begin });
  expect(add('billing', 7)).toMatchObject({ ok: true });
  expect(add('billing', 7)).toMatchObject({ code: 'ALREADY_EXISTS' });
  expect(trim(8)).toMatchObject({ ok: false });
  expect(trim(7)).toMatchObject({ ok: true });
  expect(add('late', 6)).toMatchObject({ code: 'TRIMMED' });
  expect(add('early', 21)).toMatchObject({ code: 'BEYOND_TAIL' });
  expect(add('', 'end')).toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(add('newest', 'end')).toMatchObject({ ok: true });
  // Nobody's message counts before it is opened, and where that begins is known.
  expect(open('a', 'end')).toEqual({ ok: true, value: 3 });
  expect(topic.consumers).toMatchObject([
    { name: 'billing', epoch: 3, began: 7, position: 7 },
    { name: 'newest', epoch: 2, began: 20, position: 20 },
  ]);
  expect(advance(3, 1, 9)).toMatchObject({ ok: true });
  expect(add('billing', 'start')).toMatchObject({ code: 'ALREADY_EXISTS' });
  expect(apply({ kind: 'addConsumer', topicId: 9, name: 'a', begin: 'end' })).toMatchObject({
    code: 'TOPIC_NOT_FOUND',
  });
});

test('it begins where records are, and is known by a name', () => {
  const { open } = makeTopic();
  expect(open('a', 21)).toMatchObject({ code: 'BEYOND_TAIL' });
  expect(open('a', 0, '')).toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(open('a', 0, 'x'.repeat(201))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  const { open: openTrimmed, trim } = makeTopic();
  expect(trim(5)).toMatchObject({ ok: true });
  expect(openTrimmed('a', 4)).toMatchObject({ code: 'TRIMMED' });
  expect(openTrimmed('a', 'start')).toMatchObject({ ok: true });
});

test('what an earlier life says, or what comes late, does not count', () => {
  const { topic, open, advance } = makeTopic();
  open('a');
  expect(advance(1, 2, 5)).toMatchObject({ ok: true });
  expect(advance(1, 1, 3, { parked: [parkedAt(2)] })).toMatchObject({ ok: true });
  expect(topic.consumers[0]).toMatchObject({ position: 5, parked: [] });
  open('b');
  expect(advance(1, 3, 9)).toMatchObject({ code: 'CONSUMER_FENCED' });
  expect(advance(2, 1, 21)).toMatchObject({ code: 'BEYOND_TAIL' });
  const beyond = { parked: [parkedAt(7), parkedAt(21)] };
  expect(advance(2, 1, 9, beyond)).toMatchObject({ code: 'BEYOND_TAIL' });
  expect(topic.consumers[0]).toMatchObject({ position: 5 });
});

test('a consumer holds what it has not done and what it has parked, until it is removed', () => {
  const { apply, open, advance, decide, trim } = makeTopic();
  open('a');
  advance(1, 1, 10, { parked: [parkedAt(7), parkedAt(4)] });
  expect(trim(4)).toMatchObject({
    code: 'FAILED_PRECONDITION',
    what: expect.stringContaining('consumer "billing" still needs the records behind 3'),
    next: expect.stringContaining(`varlog consumer rm 1 'billing'`),
  });
  expect(trim(3)).toMatchObject({ ok: true });
  expect(decide(true, [4])).toEqual({ ok: true, value: 1 });
  expect(trim(6)).toMatchObject({ ok: true });
  advance(1, 2, 10, { settled: [7] });
  expect(trim(10)).toMatchObject({ ok: true });
  expect(trim(11)).toMatchObject({ code: 'FAILED_PRECONDITION' });
  const remove = { kind: 'removeConsumer', topicId: 1, name: 'billing' } as const;
  expect(apply(remove)).toMatchObject({ ok: true });
  expect(apply(remove)).toMatchObject({ code: 'NOT_FOUND' });
  expect(advance(1, 3, 11)).toMatchObject({ code: 'NOT_FOUND' });
  expect(trim(20)).toMatchObject({ ok: true });
});

test('parked records are replayed or dropped by name, or all of them', () => {
  const { topic, open, advance, decide } = makeTopic();
  open('a');
  advance(1, 1, 10, { parked: [parkedAt(7), parkedAt(4), parkedAt(9, 'x'.repeat(2_000))] });
  expect(topic.consumers[0]!.parked.map(({ glsn }) => glsn)).toEqual([4, 7, 9]);
  expect(topic.consumers[0]!.parked[2]!.cause).toHaveLength(500);
  expect(decide(false, [4, 5])).toMatchObject({ code: 'NOT_FOUND' });
  expect(decide(false, [4])).toEqual({ ok: true, value: 1 });
  expect(topic.consumers[0]!.parked.map(({ replay }) => replay)).toEqual([true, false, false]);
  // It failed again.
  advance(1, 2, 10, { parked: [parkedAt(4)] });
  expect(topic.consumers[0]!.parked.map(({ replay }) => replay)).toEqual([false, false, false]);
  expect(decide(false)).toEqual({ ok: true, value: 3 });
  expect(decide(true)).toEqual({ ok: true, value: 3 });
  expect(topic.consumers[0]!.parked).toEqual([]);
});

test('no more is parked in a topic than may be', () => {
  const { topic, open, advance } = makeTopic();
  Object.assign(topic, { highWatermark: 2_000 });
  open('a');
  const parked = Array.from({ length: 1_000 }, (_, i) => parkedAt(i + 1));
  expect(advance(1, 1, 10, { parked })).toMatchObject({ ok: true });
  expect(advance(1, 2, 10, { parked: [parkedAt(1)] })).toMatchObject({ ok: true });
  expect(advance(1, 3, 10, { parked: [parkedAt(1_001)] })).toMatchObject({
    code: 'FAILED_PRECONDITION',
  });
  expect(advance(1, 4, 10, { settled: [1] })).toMatchObject({ ok: true });
  expect(advance(1, 5, 10, { parked: [parkedAt(1_001)] })).toMatchObject({ ok: true });
});
