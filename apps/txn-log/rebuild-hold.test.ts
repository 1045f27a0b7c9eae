import { TestCluster } from '../../test/process/processes.ts';
import { LedgerClient } from './client.ts';
import { ledgerDatabase } from './database.ts';
import { startGeneration } from './generation.ts';
import { GenerationFiles } from './generation-files.ts';
import { GenerationSchemas } from './generation-schemas.ts';
import { generationsIn, onEachLocation } from './ledger-locations.fixture.ts';
import { startLedgerReplica } from './replica.ts';

onEachLocation('what a ledger keeps of a topic,', (fresh) => {
  const open: { close(): Promise<void> }[] = [];
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await TestCluster.start(1);
  }, 60_000);
  afterEach(async () => {
    for (const it of open.splice(0).reverse()) await it.close();
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  test('it keeps for the generation that is in force, and for none that was removed', async () => {
    const varlog = await cluster.connect();
    open.push(varlog);
    const topic = await varlog.createTopic();
    const holders = async () => (await topic.describe()).holds.map((it) => it.holder);
    const location = await fresh();
    const log = { endpoints: cluster.endpoints, topic: topic.id };
    const start = async () => {
      const replica = await startLedgerReplica({ http: '127.0.0.1:0', location, log });
      open.push(replica);
      return replica;
    };
    const first = await start();
    await first.service.open('bank', null);
    const [holder] = await holders();
    expect(await holders()).toHaveLength(1);
    // As one that is killed while it rebuilds leaves it behind.
    const generations =
      'url' in location
        ? new GenerationSchemas(location.url)
        : new GenerationFiles(location.directory);
    const number = await generations.add();
    const { signal } = new AbortController();
    const database = ledgerDatabase(location, number);
    const made = await startGeneration(number, database, log, 10_000, signal);
    await made.replica.caughtUp();
    await made.close();
    await first.close();
    expect(await holders()).toHaveLength(2);
    const again = await start();
    expect(await generationsIn(location)).toEqual([0]);
    expect(await holders()).toEqual([holder]);
    await new LedgerClient(again.http).rebuild();
    expect(await holders()).toHaveLength(1);
    expect(await holders()).not.toEqual([holder]);
  }, 60_000);
});
