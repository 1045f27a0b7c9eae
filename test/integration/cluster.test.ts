import { GenericContainer, type StartedTestContainer, Wait } from 'testcontainers';
import { VarlogCluster } from 'varlog/testing/containers';
import { eventually } from '../process/processes.ts';
import { buildImage, engineMissing } from './image.ts';

const missing = engineMissing();
if (missing !== undefined) console.warn(`SKIPPED, ${missing}: test/integration`);
// Its helper image cannot be pulled everywhere; what is started here is stopped here.
process.env['TESTCONTAINERS_RYUK_DISABLED'] = 'true';

(missing === undefined ? describe : describe.skip)('a cluster in containers', () => {
  let cluster: VarlogCluster;
  const services: StartedTestContainer[] = [];

  beforeAll(async () => {
    const image = buildImage();
    cluster = await VarlogCluster.start({ image });
    await using varlog = await cluster.connect();
    for (let topic = 1; topic <= 3; topic++) await varlog.createTopic({ logStreams: 2 });
    const endpoints = cluster.internalEndpoints.join(',');
    const serve = (app: string, port: number, args: string[]): Promise<StartedTestContainer> =>
      new GenericContainer(image)
        .withNetwork(cluster.network)
        .withEntrypoint(['node', `/app/dist/apps/${app}/cli.js`])
        .withCommand(['serve', `--varlog=${endpoints}`, '--directory=/data/app', ...args])
        .withExposedPorts(port)
        .withWaitStrategy(Wait.forHttp('/readyz', port))
        .start();
    services.push(
      await serve('kv-store', 8001, ['--topic=2', '--grpc=0.0.0.0:7001', '--http=0.0.0.0:8001']),
      await serve('kv-store', 8001, ['--topic=2', '--grpc=0.0.0.0:7001', '--http=0.0.0.0:8001']),
      await serve('txn-log', 8101, ['--topic=3', '--http=0.0.0.0:8101']),
    );
    // The image is written to the disk beside all other tests.
  }, 600_000);

  afterAll(async () => {
    for (const it of services) await it.stop();
    await cluster?.[Symbol.asyncDispose]();
  }, 60_000);

  const url = (service: number, port: number, path: string): string => {
    const it = services[service]!;
    return `http://${it.getHost()}:${it.getMappedPort(port)}${path}`;
  };
  const put = async (replica: number, key: string, value: string): Promise<void> => {
    const headers = { 'idempotency-key': `${key} ${value}` };
    const options = { method: 'PUT', body: value, headers };
    await eventually(async () => {
      const reply = await fetch(url(replica, 8001, `/kv/${key}`), options);
      if (!reply.ok) throw new Error(await reply.text());
    });
  };
  const get = (replica: number, key: string): Promise<string> =>
    eventually(async () => {
      const reply = await fetch(url(replica, 8001, `/kv/${key}`));
      if (!reply.ok) throw new Error(await reply.text());
      return reply.text();
    });
  const post = (path: string, body: object): Promise<{ status: number; body: unknown }> =>
    eventually(async () => {
      const reply = await fetch(url(2, 8101, path), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      if (reply.status >= 500) throw new Error(await reply.text());
      return { status: reply.status, body: await reply.json() };
    });

  test('records go in on one side of the engine and come out on the other', async () => {
    await using varlog = await cluster.connect();
    const { glsn } = await varlog.topic(1).append('from the host');
    const cli = ['node', '/app/dist/framework/node/cli.js', 'read', '1', '--from', String(glsn)];
    const { output, exitCode } = await cluster.run(2, cli);
    expect({ output, exitCode }).toEqual({ output: `${glsn}\tfrom the host\n`, exitCode: 0 });
  });

  test('a value that one replica of the store wrote is read from the other', async () => {
    await put(0, 'greeting', 'hello');
    expect(await get(1, 'greeting')).toBe('hello');
  });

  test('the ledger moves money and keeps the books', async () => {
    for (const account of ['alice', 'bob']) {
      await post('/accounts', { account, overdraftLimit: 1_000 });
    }
    const { status } = await post('/transfers', {
      id: 'first',
      postings: [
        { account: 'alice', amount: -250 },
        { account: 'bob', amount: 250 },
      ],
    });
    expect(status).toBe(200);
    const bob = await (await fetch(url(2, 8101, '/accounts/bob'))).json();
    expect(bob).toMatchObject({ balance: 250 });
    const query = encodeURIComponent('SELECT SUM(amount) AS sum FROM posting');
    const rows = await (await fetch(url(2, 8101, `/sql?query=${query}`))).json();
    expect(rows).toEqual([{ sum: 0 }]);
  });

  test('a storage node is killed and started again: nothing is lost, everything goes on', async () => {
    await using varlog = await cluster.connect();
    const topic = varlog.topic(1);
    const before = await topic.append('before the kill');
    const [stream] = (await topic.describe()).logStreams;
    const victim = stream!.replicas[0]!;
    await cluster.kill(victim);
    const during = await eventually(() => topic.append('while it is gone'));
    await put(0, 'during', 'the kill');
    await cluster.restart(victim);
    await eventually(() => varlog.ready({ storageNodes: 3, timeoutMs: 1_000 }));
    expect(await get(1, 'during')).toBe('the kill');
    const texts: string[] = [];
    for await (const entry of topic.read({ from: before.glsn })) texts.push(entry.text());
    expect(texts[0]).toBe('before the kill');
    expect(texts[during.glsn - before.glsn]).toBe('while it is gone');
  }, 90_000);

  test('the leader is killed and started again: another one orders on', async () => {
    await using varlog = await cluster.connect();
    const leader = await eventually(async () => {
      const status = await varlog.status();
      if (status.leader === undefined) throw new Error('no leader yet');
      return status.leader;
    });
    await cluster.kill(leader);
    await put(1, 'new-leader', 'orders');
    expect(await get(0, 'new-leader')).toBe('orders');
    expect((await varlog.status()).leader).not.toBe(leader);
    await cluster.restart(leader);
    await eventually(() => varlog.ready({ storageNodes: 3, timeoutMs: 1_000 }));
    expect(await get(0, 'greeting')).toBe('hello');
  }, 90_000);
});
