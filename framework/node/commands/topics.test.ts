import type { Varlog } from '../../log/index.ts';
import { type Finished, varlog } from '../in-process-cli.fixture.ts';
import { closeAll, Observed } from '../observed.fixture.ts';

let node: Observed;
let client: Varlog;
const run = (...args: string[]): Promise<Finished> =>
  varlog(['--endpoints', node.address, ...args]);

beforeAll(async () => {
  node = await Observed.start();
  client = await node.connect();
}, 30_000);
afterAll(closeAll);

test('how much of a topic is kept can be given and changed, limit by limit', async () => {
  const made = await run('topic', 'create', '--retain-bytes', '10GB', '--json');
  const id = String(JSON.parse(made.out).id);
  const retention = async () => (await client.topic(Number(id)).describe()).retention;
  expect(await retention()).toEqual({ bytes: 10e9 });
  expect((await run('topic', 'update', id, '--retain-for', '7d')).out).toBe(
    `topic ${id} keeps the last 10 GB, at most 1 w\n`,
  );
  expect(await retention()).toEqual({ bytes: 10e9, ageMs: 7 * 86_400_000 });
  expect(
    (await run('topic', 'update', id, '--retain-bytes', 'none', '--retain-for', 'none')).out,
  ).toBe(`topic ${id} keeps all records\n`);
  expect(await run('topic', 'update', id)).toMatchObject({
    ...{ code: 2, err: expect.stringContaining('give --retain-bytes, --retain-for or --replicas') },
  });
  expect((await run('topic', 'update', id, '--replicas', '3')).out).toContain('gets 3 copies');
  const { logStreams } = (await client.status()).topics.find((it) => String(it.id) === id)!;
  expect(logStreams[0]!.replicationFactor).toBe(3);
});

test('who keeps records is explained', async () => {
  const topic = await client.createTopic();
  await topic.append(['a', 'b', 'c']);
  expect((await run('trim', String(topic.id), '--explain')).out).toContain('nobody keeps records');
  await topic.hold('a backup', 2);
  expect((await run('trim', String(topic.id), '--explain')).out).toMatch(
    /KEPT BY +NEEDS THE RECORDS BEHIND +BYTES +ONLY BY THIS ONE\nhold of "a backup" +2 /,
  );
});

test('a log stream is led from where somebody wants it, if that is one of its replicas', async () => {
  await client.createTopic();
  const streams = (await client.status()).topics[0]!.logStreams;
  const stream = String(streams[0]!.id);
  expect((await run('log-stream', 'prefer', stream, '1')).code).toBe(0);
  expect((await run('log-stream', 'prefer', stream, '7')).code).not.toBe(0);
});

test.each([
  ['topic', 'describe', '99'],
  ['topic', 'update', '99', '--replicas', '1'],
  ['topic', 'delete', '99'],
  ['trim', '99', '1'],
  ['trim', '99', '--explain'],
  ['read', '99'],
  ['tail', '99'],
  ['append', '99', 'x'],
  ['append', '99', 'x', '--producer', '1'],
  ['fence', '99'],
  ['topic', 'release', '99', 'somebody'],
  ['consumer', 'ls', '99'],
  ['consumer', 'add', '99', 'somebody'],
  ['consumer', 'rm', '99', 'somebody'],
  ['upgrade', '99', '2'],
  ['skip', '99', '2'],
  ['capture', '99', '--around', '1'],
])('a topic that there is not is refused with those that there are: %s %s %s', async (...args) => {
  const { code, err } = await run(...args);
  expect(err).toMatch(/TOPIC_NOT_FOUND: there is no topic 99.*\b1, 2, 3\b/);
  expect(code).toBe(4);
});

test('a log stream or holder that there is not is refused with those that there are', async () => {
  const topic = await client.createTopic();
  await topic.hold('a backup', 0);
  const id = String(topic.id);
  const stream = (await topic.describe()).logStreams[0]!.id;
  for (const args of [
    ['fence', id, '--log-stream', '99'],
    ['append', id, 'x', '--log-stream', '99'],
    ['append', id, '99=x', '--atomic'],
  ]) {
    const { code, err } = await run(...args);
    expect([args, err]).toEqual([
      args,
      expect.stringMatching(new RegExp(`LOG_STREAM_NOT_FOUND: .*log stream 99.*\\b${stream}\\b`)),
    ]);
    expect(code).toBe(4);
  }
  const preferred = await run('log-stream', 'prefer', '99', '1');
  expect(preferred.err).toMatch(
    /LOG_STREAM_NOT_FOUND: there is no log stream 99; choose one of 1, 2/,
  );
  const released = await run('topic', 'release', id, 'a bakcup');
  expect(released).toMatchObject({
    code: 4,
    err: expect.stringContaining('choose one of a backup'),
  });
  const restored = await run('topic', 'restore', '99');
  expect(restored.err).toMatch(/TOPIC_NOT_FOUND: there is no deleted topic 99/);
});

test('headers, keys and times of records are shown where they are asked for', async () => {
  const topic = String((await client.createTopic()).id);
  await run('append', topic, 'x', '--key', 'k', '--header', 'a=1', '--header', 'b=2=3');
  await run('append', topic, 'y');
  const { out } = await run('read', topic, '--to', '2', '--headers');
  expect(out).toMatch(/^1\t\S+Z\tk\ta=1 b=2=3\tx\n2\t\S+Z\t-\t-\ty\n$/);
  const json = await run('read', topic, '--to', '1', '--headers', '--json');
  expect(JSON.parse(json.out)).toMatchObject({
    key: 'k',
    headers: [
      ['a', '1'],
      ['b', '2=3'],
    ],
  });
});
