import type { Topic } from '../../log/index.ts';
import { type Finished, varlog } from '../in-process-cli.fixture.ts';
import { closeAll, eventually, Observed } from '../observed.fixture.ts';

let node: Observed;
let topic: Topic;
const run = (...args: string[]): Promise<Finished> =>
  varlog(['--endpoints', node.address, 'node', ...args]);

beforeAll(async () => {
  node = await Observed.start();
  topic = await (await node.connect()).createTopic();
  await topic.append('x');
}, 30_000);
afterAll(closeAll);

test('the storage nodes are listed, for people and for programs', async () => {
  await eventually(async () => {
    const { out } = await run('ls');
    expect(out).toMatch(
      /^STORAGE NODE +ADDRESS +STATE +REPLICAS +PRIMARY OF +BYTES\n1 +\S+ +up +1 +1 +[\d.]+ KB\n$/,
    );
  });
  expect(JSON.parse((await run('ls', '--json')).out)).toEqual([
    expect.objectContaining({
      id: 1,
      address: node.address,
      alive: true,
      replicas: 1,
      bytes: expect.any(Number),
    }),
  ]);
});

test('what is appended is among its bytes before long', async () => {
  await topic.append('x'.repeat(100_000));
  await eventually(async () => {
    const [{ bytes }] = JSON.parse((await run('ls', '--json')).out) as [{ bytes: number }];
    expect(bytes).toBeGreaterThan(100_000);
  });
}, 30_000);

test('a drain that cannot get on says why, and can be taken back', async () => {
  expect((await run('drain', '1')).out).toContain('"varlog node ls" shows how far it is');
  const waited = await run('drain', '1', '--wait', '1');
  expect(waited).toMatchObject({ code: 1, out: expect.stringMatching(/^not drained: 1 replica/) });
  expect(waited.err).toContain('storage node 1: 1 replicas left, 1 of them primaries');
  expect((await run('ls')).out).toMatch(/up, draining/);
  expect((await run('drain', '1', '--cancel')).out).toBe('storage node 1 is drained no longer\n');
  expect((await run('ls')).out).not.toMatch(/drain/);
  expect(await topic.append('still open')).toMatchObject({ glsn: 3 });
});

test('a storage node with replicas is not removed, and one that is up is not replaced', async () => {
  expect(await run('remove', '1')).toMatchObject({ code: 5 });
  for (const command of ['remove', 'drain', 'replace']) {
    expect(await run(command, '7')).toMatchObject({
      ...{ code: 4, err: expect.stringContaining('no storage node 7; choose one of 1') },
    });
  }
  expect(await run('replace', '1')).toMatchObject({
    ...{ code: 5, err: expect.stringContaining('stop the node first') },
  });
  expect(await topic.append('still there')).toMatchObject({ glsn: 4 });
});
