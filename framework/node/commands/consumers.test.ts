import { sleep } from '../../base/index.ts';
import { type RealCluster, startRealCluster } from '../../log/client/real-cluster.fixture.ts';
import { type Topic, Varlog } from '../../log/index.ts';
import { realClock } from '../../runtime/index.ts';
import { varlog } from '../in-process-cli.fixture.ts';

let cluster: RealCluster;
let client: Varlog;
let topic: Topic;
beforeAll(async () => {
  cluster = await startRealCluster(1);
  client = await Varlog.connect(cluster.endpoint);
  await client.ready({ storageNodes: 1 });
  topic = await client.createTopic();
}, 30_000);
afterAll(async () => {
  await client.close();
  await cluster.close();
}, 30_000);

const run = (...args: string[]) => varlog(['--endpoints', cluster.endpoint, ...args]);

test('consumers are listed; what they have parked is shown, replayed and dropped; one that is gone is removed', async () => {
  const id = String(topic.id);
  await topic.append(['a', 'b', 'c', 'd', 'e']);
  let broken = 'bde';
  const consumer = topic.process(
    { name: 'billing', attempts: 1, onError: 'park', checkpointEveryMs: 20 },
    (entry) => {
      if (broken.includes(entry.text())) throw new Error(`no\n${entry.text()}`);
    },
  );
  await consumer.caughtUp();
  for (const command of ['parked', 'rm']) {
    const mistyped = await run('consumer', command, id, 'biling');
    expect(mistyped).toMatchObject({ code: 4, out: '' });
    expect(mistyped.err).toMatch(/NOT_FOUND: topic \d+ has no consumer "biling".*billing/);
  }
  while ((await topic.consumers.list())[0]?.position !== 5) await sleep(realClock(), 10);

  const listed = await run('consumer', 'ls', id);
  expect(listed.out).toMatch(/CONSUMER +POSITION +LAG +PARKED +EPOCH\nbilling +5 +0 +3 +1\n/);
  const asJson = await run('consumer', 'ls', id, '--json');
  expect(JSON.parse(asJson.out)).toEqual([
    { name: 'billing', epoch: 1, position: 5, lag: 0, parked: 3 },
  ]);
  const parked = await run('consumer', 'parked', id, 'billing');
  expect(parked.out).toMatch(/GLSN +SINCE +ATTEMPTS +STATE +CAUSE\n2 +20\S+Z +1 +parked +no b\n4 /);
  const doctor = await run('doctor');
  expect(doctor.code).toBe(1);
  expect(doctor.out).toContain(
    `BAD  consumer "billing" of topic ${id}: has 3 parked records, record 2`,
  );
  expect(doctor.out).toContain(
    `(no b): mend the cause, then run "varlog consumer replay ${id} 'billing' --all"`,
  );
  const explained = await run('trim', id, '--explain');
  expect(explained.out).toMatch(/consumer "billing" +1 +\d+/);
  const described = await run('topic', 'describe', id);
  expect(described.out).toMatch(/consumer "billing" +1\n/);
  const refused = await run('trim', id, '5');
  expect(refused).toMatchObject({
    code: 5,
    err: expect.stringContaining(`consumer "billing" still needs the records behind 1`),
  });
  expect(refused.err).toContain(`varlog consumer rm ${id} 'billing'`);

  broken = 'd';
  expect((await run('consumer', 'replay', id, 'billing')).err).toMatch(/which records are meant/);
  expect((await run('consumer', 'replay', id, 'billing', '2', '--all')).code).toBe(2);
  expect((await run('consumer', 'replay', id, 'billing', '3')).err).toMatch(/NOT_FOUND.*record 3/);
  expect((await run('consumer', 'replay', id, 'billing', '2', '4')).out).toBe(
    '2 records are to be replayed\n',
  );
  while (consumer.status.parked !== 2) await sleep(realClock(), 10);
  const [known] = await topic.consumers.list();
  expect(known!.parked.map(({ glsn }) => glsn)).toEqual([4, 5]);
  const none = { code: 'INVALID_ARGUMENT', message: expect.stringContaining('an empty list') };
  await expect(topic.consumers.drop('billing', [])).rejects.toMatchObject(none);
  await expect(topic.consumers.replay('billing', [])).rejects.toMatchObject(none);
  await expect(topic.consumers.drop('billing', [Number.NaN])).rejects.toMatchObject({
    code: 'POSITION_OUT_OF_RANGE',
  });
  expect((await run('consumer', 'drop', id, 'billing', '--all')).out).toBe(
    '2 records are dropped\n',
  );
  expect((await run('trim', id, '5')).code).toBe(0);

  expect((await run('consumer', 'rm', id, 'billing')).out).toBe('removed consumer "billing"\n');
  await expect(consumer.done).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect((await run('consumer', 'rm', id, 'billing')).err).toMatch(/NOT_FOUND/);
  expect((await run('consumer', 'parked', id, 'billing')).err).toMatch(/NOT_FOUND.*consumer ls/);
  expect(JSON.parse((await run('consumer', 'ls', id, '--json')).out)).toEqual([]);
}, 60_000);

test('a consumer is added before it runs, and holds what comes until it does', async () => {
  const other = await client.createTopic();
  const id = String(other.id);
  await other.append(['a', 'b', 'c']);
  const added = await run('consumer', 'add', id, 'mailing', '--from', '3');
  expect(added.out).toBe('added consumer "mailing", which begins with record 3\n');
  const since = await run('consumer', 'add', id, 'old', '--since', '1h', '--json');
  expect(JSON.parse(since.out)).toEqual({ topic: other.id, added: 'old', position: 0 });
  const again = await run('consumer', 'add', id, 'mailing');
  expect(again).toMatchObject({ code: 5, err: expect.stringContaining('already') });
  const both = await run('consumer', 'add', id, 'x', '--since', '1h', '--from', 'end');
  expect(both).toMatchObject({ code: 2, err: expect.stringContaining('exclude each other') });
  const nowhere = await run('consumer', 'add', id, 'x', '--from', '9');
  expect(nowhere.err).toContain('BEYOND_TAIL');
  await run('consumer', 'rm', id, 'old');
  const refused = await run('trim', id, '3');
  expect(refused.err).toContain('consumer "mailing" still needs the records behind 2');
  const given: string[] = [];
  const consumer = other.process({ name: 'mailing' }, (entry) => void given.push(entry.text()));
  await consumer.caughtUp();
  await consumer.close();
  expect(given).toEqual(['c']);
});
