import { join } from 'node:path';
import { DataSource } from 'typeorm';
import { record } from 'varlog/log';
import { eventually, TestCluster } from './processes.ts';

const RECORDS = 400;
const KILLS = 2;

test('a consumer that is killed by -9 over and over, with its nodes: each record is a row once, in order by key', async () => {
  await using cluster = await TestCluster.start(3);
  const varlog = await cluster.connect();
  const topic = await varlog.createTopic({ logStreams: 2 });
  const producer = await topic.producer({ id: 1 });
  const database = join(cluster.processes.folder('consumer'), 'effects.db');
  const args = [cluster.endpoints.join(','), String(topic.id), database];
  const consumer = cluster.processes.program('test/process/consumer-program.js', args);
  let position = 0;
  consumer.onMessage((message) => {
    position = Math.max(position, (message as { position: number }).position);
  });
  const load = (async () => {
    for (let i = 0; i < RECORDS; i++) {
      await producer.append(record(`${i}`, { key: `${i % 5}` }), { timeoutMs: 120_000 });
    }
  })();
  for (let i = 0; i < KILLS; i++) {
    if (!consumer.isUp) consumer.start();
    const wanted = ((i + 1) * RECORDS) / (KILLS + 2);
    await eventually(async () => {
      if (position < wanted) throw new Error(`at ${position}: ${consumer.output}`);
    }, 60_000);
    await consumer.end('SIGKILL');
    if (i % 3 === 2) {
      await cluster.nodes[i % 2]!.end('SIGKILL');
      cluster.startAll();
    }
  }
  await load;
  consumer.start();
  const { last } = await topic.watermarks();
  await eventually(async () => {
    const [it] = await topic.consumers.list();
    if (it!.position < last) throw new Error(`at ${it!.position}: ${consumer.output}`);
  }, 60_000);
  const [known] = await topic.consumers.list();
  expect(known!.parked.map(({ cause }) => cause)).toEqual(Array(RECORDS / 50).fill('seven'));
  await topic.consumers.replay('effects');
  await eventually(async () => {
    const [it] = await topic.consumers.list();
    if (it!.parked.length > 0) throw new Error(`${it!.parked.length} are parked`);
  }, 60_000);
  await consumer.end('SIGKILL');

  const source = new DataSource({ type: 'better-sqlite3', database, readonly: true });
  await source.initialize();
  const rows: { text: string }[] = await source.query('SELECT text FROM effect ORDER BY id');
  await source.destroy();
  const numbers = rows.map(({ text }) => Number(text));
  expect([...numbers].sort((a, b) => a - b)).toEqual(Array.from({ length: RECORDS }, (_, i) => i));
  for (let key = 0; key < 5; key++) {
    const own = numbers.filter((it) => it % 5 === key && it % 50 !== 7);
    expect(own).toEqual([...own].sort((a, b) => a - b));
  }
  console.log(`${rows.length} rows, epoch ${known!.epoch}`);
  await varlog.close();
}, 300_000);

test('a consumer that is added by the command line loses no record until it first runs: not by trims, nor with the node that leads', async () => {
  await using cluster = await TestCluster.start(3, { replicationFactor: 3 });
  const varlog = await cluster.connect();
  const topic = await varlog.createTopic({ logStreams: 2 });
  const producer = await topic.producer({ id: 1 });
  const append = async (first: number, end: number): Promise<void> => {
    for (let i = first; i < end; i++) await producer.append(`${i}`, { timeoutMs: 60_000 });
  };
  const run = async (...args: string[]): Promise<{ code: number | null; output: string }> => {
    const flags = ['--endpoints', cluster.endpoints.join(',')];
    const program = cluster.processes.program('framework/node/cli.js', [...args, ...flags]);
    program.start();
    const code = await program.ended();
    return { code, output: program.output };
  };
  const id = String(topic.id);
  await append(1, 31);
  const added = await run('consumer', 'add', id, 'mailing', '--from', '11');
  expect(added).toEqual({
    code: 0,
    output: 'added consumer "mailing", which begins with record 11\n',
  });
  const again = await run('consumer', 'add', id, 'mailing', '--from', 'end');
  expect(again.code).not.toBe(0);
  expect(again.output).toContain('ALREADY_EXISTS');
  const tooFar = await run('trim', id, '11');
  expect(tooFar.code).not.toBe(0);
  expect(tooFar.output).toContain('consumer "mailing" still needs the records behind 10');
  expect((await run('trim', id, '10')).code).toBe(0);

  const { leader } = await varlog.status();
  await cluster.nodes[leader! - 1]!.end('SIGKILL');
  await append(31, 41);
  await expect(topic.trim(35, { timeoutMs: 30_000 })).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
  });
  expect(await topic.watermarks()).toMatchObject({ first: 11, last: 40 });

  const given: number[] = [];
  // It was added: where a new one would begin does not matter.
  const consumer = topic.process({ name: 'mailing', from: 'end' }, (entry) => {
    given.push(Number(entry.text()));
  });
  await consumer.caughtUp({ timeoutMs: 60_000 });
  await consumer.close();
  expect(given).toEqual(Array.from({ length: 30 }, (_, i) => i + 11));
  await topic.trim(40);
  await varlog.close();
}, 180_000);
