import { DataSource } from 'typeorm';
import { Varlog } from 'varlog/log';
import { sqlCheckpoint } from 'varlog/log/sql';

/** `consumer-program.js ENDPOINTS TOPIC DATABASE`: writes each record of a topic as a row, until it is killed. */
const [endpoints = '', topicId = '', database = ''] = process.argv.slice(2);
const varlog = await Varlog.connect({ endpoints: endpoints.split(','), timeoutMs: 30_000 });
const dataSource = new DataSource({ type: 'better-sqlite3', database, timeout: 10_000 });
await dataSource.initialize();
await dataSource.query('PRAGMA journal_mode = WAL');
await dataSource.query(
  'CREATE TABLE IF NOT EXISTS effect (id integer PRIMARY KEY AUTOINCREMENT, text varchar(100))',
);

const options = {
  name: 'effects',
  checkpoint: sqlCheckpoint(dataSource),
  concurrency: 4,
  orderBy: 'key',
  attempts: 3,
  onError: 'park',
} as const;
const consumer = varlog.topic(Number(topicId)).process(options, async (entry, context) => {
  const { transaction, isReplay } = context;
  await transaction.query('INSERT INTO effect (text) VALUES (?)', [entry.text()]);
  // After it has written.
  if (Number(entry.text()) % 50 === 7 && !isReplay) throw new Error('seven');
});
consumer.status$.subscribe(({ position }) => process.send?.({ position }));
await consumer.done;
