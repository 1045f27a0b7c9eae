/**
 * A projection: the records of a topic as rows of a SQLite database, each of them once. The rows and how far they
 * go change in one transaction, so a projection that is killed goes on where its last transaction ended.
 *
 * Needs a cluster: `npx varlog up` in another shell.
 *
 * ```
 * $ node dist/examples/sqlite-projection.js
 * run 1 stops in the middle: alice 30, bob 5
 * trimming record 3 is refused: FAILED_PRECONDITION
 * run 2 goes on: alice 40, bob 25
 * run 3 has nothing to do: alice 40, bob 25
 * ```
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource, EntitySchema } from 'typeorm';
import { type ResumeToken, type Topic, Varlog, VarlogError } from 'varlog/log';

interface Order {
  customer: string;
  amount: number;
}
interface Total {
  customer: string;
  amount: number;
}
interface Progress {
  id: number;
  token: ResumeToken;
}

const TotalEntity = new EntitySchema<Total>({
  name: 'total',
  columns: { customer: { type: 'varchar', primary: true }, amount: { type: 'integer' } },
});
const ProgressEntity = new EntitySchema<Progress>({
  name: 'progress',
  columns: { id: { type: 'integer', primary: true }, token: { type: 'varchar' } },
});

/** Projects what is there, from where the database is on; stops early after `most` records. */
async function project(topic: Topic, path: string, most = Infinity): Promise<string> {
  const source = new DataSource({
    type: 'better-sqlite3',
    database: path,
    entities: [TotalEntity, ProgressEntity],
    synchronize: true,
  });
  await source.initialize();
  try {
    const { token } = (await source.manager.findOneBy(ProgressEntity, { id: 1 })) ?? {};
    let done = 0;
    for await (const entry of topic.read(token === undefined ? {} : { from: token })) {
      if (done++ >= most) break;
      const { customer, amount } = entry.json<Order>();
      await source.transaction(async (manager) => {
        const before = await manager.findOneBy(TotalEntity, { customer });
        await manager.save(TotalEntity, { customer, amount: (before?.amount ?? 0) + amount });
        await manager.save(ProgressEntity, { id: 1, token: entry.resumeToken });
      });
      // What this projection has not seen yet must not be trimmed meanwhile. The transaction comes first.
      await topic.hold('order totals', entry.glsn);
    }
    const totals = await source.manager.find(TotalEntity, { order: { customer: 'ASC' } });
    return totals.map((it) => `${it.customer} ${it.amount}`).join(', ');
  } finally {
    await source.destroy();
  }
}

const directory = mkdtempSync(join(tmpdir(), 'varlog-example-'));
try {
  const path = join(directory, 'totals.db');
  await using varlog = await Varlog.connect(process.env['VARLOG_URL'] ?? '127.0.0.1:9092');
  const topic = await varlog.createTopic();
  await topic.hold('order totals', 0);
  for (const [customer, amount] of [
    ['alice', 30],
    ['bob', 5],
    ['alice', 10],
    ['bob', 20],
  ] as const) {
    await topic.append(JSON.stringify({ customer, amount } satisfies Order));
  }

  console.log('run 1 stops in the middle:', await project(topic, path, 2));
  await topic.trim(3).catch((error: unknown) => {
    if (!VarlogError.is(error, 'FAILED_PRECONDITION')) throw error;
    console.log('trimming record 3 is refused:', error.code);
  });
  console.log('run 2 goes on:', await project(topic, path));
  console.log('run 3 has nothing to do:', await project(topic, path));
} finally {
  rmSync(directory, { recursive: true });
}
