/**
 * A consumer: rows of a SQLite database that follow a topic, each record once. What cannot be done is parked, mended and
 * replayed, while the others go on.
 *
 * Needs a cluster: `npx varlog up` in another shell.
 *
 * ```
 * $ node dist/examples/consumer.js
 * all records are done, 1 is parked: alice 40, bob 20
 * parked: record 2, tried 2 times: bob has no account
 * trimming record 2 is refused: FAILED_PRECONDITION
 * the one that was started first: CONSUMER_FENCED
 * once it is replayed: alice 40, bob 25
 * ```
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource, type EntityManager, EntitySchema } from 'typeorm';
import { type Entry, json, record, Varlog, VarlogError } from 'varlog/log';
import { sqlCheckpoint } from 'varlog/log/sql';

interface Order {
  customer: string;
  amount: number;
}
interface Total {
  customer: string;
  amount: number;
}

const TotalEntity = new EntitySchema<Total>({
  name: 'total',
  columns: { customer: { type: 'varchar', primary: true }, amount: { type: 'integer' } },
});

const directory = mkdtempSync(join(tmpdir(), 'varlog-example-'));
const source = new DataSource({
  type: 'better-sqlite3',
  database: join(directory, 'totals.db'),
  entities: [TotalEntity],
  synchronize: true,
});
await source.initialize();
await using varlog = await Varlog.connect(process.env['VARLOG_URL'] ?? '127.0.0.1:9092');
const { id } = await varlog.createTopic();
const orders = varlog.topic(id, { codec: json<Order>() });
for (const [customer, amount] of [
  ['alice', 30],
  ['bob', 5],
  ['alice', 10],
  ['bob', 20],
] as const) {
  await orders.append(record({ customer, amount }, { key: customer }));
}

let isMended = false;
/** Writes by the transaction that it is given: what it writes is committed together with the checkpoint. */
async function add({ value, glsn }: Entry<Order>, { transaction }: { transaction: EntityManager }) {
  const { customer, amount } = value;
  if (glsn === 2 && !isMended) throw new Error(`${customer} has no account`);
  const before = await transaction.findOneBy(TotalEntity, { customer });
  await transaction.save(TotalEntity, { customer, amount: (before?.amount ?? 0) + amount });
}
const options = {
  name: 'order totals',
  checkpoint: sqlCheckpoint(source),
  orderBy: 'key',
  attempts: 2,
  onError: 'park',
} as const;
async function totals(): Promise<string> {
  const found = await source.manager.find(TotalEntity, { order: { customer: 'ASC' } });
  return found.map((it) => `${it.customer} ${it.amount}`).join(', ');
}

const first = orders.process(options, add);
await first.caughtUp();
console.log(`all records are done, ${first.status.parked} is parked: ${await totals()}`);
const [known] = await orders.consumers.list();
for (const { glsn, attempts, cause } of known?.parked ?? [])
  console.log(`parked: record ${glsn}, tried ${attempts} times: ${cause}`);
await orders.trim(2).catch((error: unknown) => {
  if (!VarlogError.is(error, 'FAILED_PRECONDITION')) throw error;
  console.log('trimming record 2 is refused:', error.code);
});

// Two of one name do not both go on: the later one takes over.
isMended = true;
const second = orders.process(options, add);
await first.done.catch((error: unknown) => {
  if (!VarlogError.is(error, 'CONSUMER_FENCED')) throw error;
  console.log('the one that was started first:', error.code);
});
await second.caughtUp();
// Also: varlog consumer replay TOPIC 'order totals' --all
await orders.consumers.replay('order totals');
const isParked = async () => ((await orders.consumers.list())[0]?.parked.length ?? 0) > 0;
while (await isParked()) await new Promise((resolve) => setTimeout(resolve, 50));
console.log('once it is replayed:', await totals());
await second.close();

await varlog.deleteTopic(id);
await source.destroy();
rmSync(directory, { recursive: true });
