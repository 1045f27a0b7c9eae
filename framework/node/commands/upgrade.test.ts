import { type RealCluster, startRealCluster } from '../../log/client/real-cluster.fixture.ts';
import { type Topic, Varlog } from '../../log/index.ts';
import { type StateMachine, startReplica } from '../../smr/index.ts';
import { varlog } from '../in-process-cli.fixture.ts';

class Tally implements StateMachine<number, number, number> {
  readonly rules = 3;
  private sum = 0;
  apply(add: number): number {
    this.sum += add;
    return this.sum;
  }
  snapshot(): number {
    return this.sum;
  }
  restore(sum: number): void {
    this.sum = sum;
  }
}

let cluster: RealCluster;
let client: Varlog;
let topic: Topic;
beforeAll(async () => {
  cluster = await startRealCluster(1);
  client = await Varlog.connect(cluster.endpoint);
  await client.ready({ storageNodes: 1 });
}, 30_000);
beforeEach(async () => {
  topic = await client.createTopic();
});
afterAll(async () => {
  await client.close();
  await cluster.close();
}, 30_000);

const upgrade = (...args: string[]) =>
  varlog(['--endpoints', cluster.endpoint, 'upgrade', String(topic.id), ...args]);

test('an upgrade under a name that nobody goes by is refused, and nothing is appended', async () => {
  await using bank = await startReplica({ machine: new Tally(), name: 'bank', log: topic });
  await bank.execute(1);
  await topic.hold('machine the books 4f5e', 0);
  const { last } = await topic.watermarks();
  const skipped = await varlog([
    ...['--endpoints', cluster.endpoint, 'skip', String(topic.id), String(last)],
    ...['--name', 'bnak'],
  ]);
  expect(skipped.err).toMatch(/NOT_FOUND: .* "bnak" \(.*"the books"\); give the name/);
  expect(skipped.err).not.toContain('--force');
  const refused = await upgrade('2', '--name', 'bnak');
  expect(refused.err).toMatch(/NOT_FOUND: topic \d+ has nothing of a state machine "bnak"/);
  expect(refused.err).toContain('those that keep records of it are "the books"');
  expect(refused.code).not.toBe(0);
  expect((await topic.watermarks()).last).toBe(last);
  expect(await upgrade('2', '--name', 'bank')).toMatchObject({ code: 0, err: '' });
  expect(await upgrade('2', '--name', 'the books')).toMatchObject({ code: 0, err: '' });
  await bank.caughtUp();
  const status = await new Promise((resolve) => bank.status$.subscribe(resolve));
  expect(status).toMatchObject({ rules: 2 });
}, 30_000);

test('before the first command it takes --force, and behind what was trimmed the name is still found', async () => {
  expect((await upgrade('2')).err).toMatch(/no replica has written or kept anything/);
  expect(await upgrade('2', '--force')).toMatchObject({ code: 0, err: '' });
  await topic.append('of somebody else');
  await using machine = await startReplica({ machine: new Tally(), log: topic });
  await machine.execute(1);
  await topic.trim(2);
  expect(await upgrade('3')).toMatchObject({ code: 0, err: '' });
  expect((await upgrade('3', '--name', 'other')).err).toMatch(/NOT_FOUND/);
}, 30_000);
