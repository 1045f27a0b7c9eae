import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { snapshotDirectory, startReplica } from '../../smr/index.ts';
import { Sum } from '../../smr/sum.fixture.ts';
import * as admpb from '../../wire/gen/admpb.ts';
import * as snpb from '../../wire/gen/snpb.ts';
import { type Topic, Varlog } from './index.ts';
import { type RealCluster, startRealCluster } from './real-cluster.fixture.ts';

const network = new GrpcNetwork();
const ports = { clock: realClock(), random: realRandom, network };
const refusal = { code: 'FAILED_PRECONDITION', message: expect.stringContaining('topic release') };

let cluster: RealCluster;
let varlog: Varlog;
let folder: string;
let topic: Topic;
beforeAll(async () => {
  cluster = await startRealCluster(1);
  varlog = await Varlog.connect({ ports, endpoints: cluster.endpoint });
  await varlog.ready({ storageNodes: 1 });
  folder = await mkdtemp(join(tmpdir(), 'varlog-hold-'));
}, 30_000);
afterAll(async () => {
  await varlog.close();
  await cluster.close();
  await rm(folder, { recursive: true, force: true });
}, 30_000);
beforeEach(async () => {
  topic = await varlog.createTopic();
});

/** Starts a replica with a folder of its own, for this topic. */
const start = (name: string) =>
  startReplica({
    machine: new Sum(),
    log: topic,
    snapshotEvery: 10,
    snapshots: snapshotDirectory(join(folder, `${topic.id}-${name}`)),
  });

/** The only hold of the topic, once it is at `position` or beyond. */
async function holdAt(position: number): Promise<{ holder: string; position: number }> {
  for (;;) {
    const [hold] = (await topic.describe()).holds;
    if (hold !== undefined && hold.position >= position) return hold;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test('nobody trims what somebody holds, by whichever interface, unless forced', async () => {
  await topic.append(['a', 'b', 'c', 'd', 'e']);
  await topic.hold('reader', 2);
  await expect(topic.trim(3)).rejects.toMatchObject(refusal);
  const atNode = network.connect(cluster.addresses[0]!);
  const atAdmin = network.connect(cluster.endpoint);
  const range = { topicId: topic.id, lastGlsn: 3 };
  await expect(
    atNode.call(snpb.Management.Trim, snpb.TrimRequest.create(range)),
  ).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  await expect(
    atAdmin.call(admpb.ClusterManager.Trim, admpb.TrimRequest.create(range)),
  ).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  atNode.close();
  atAdmin.close();
  expect((await topic.watermarks()).first).toBe(1);
  await topic.trim(2);
  expect((await topic.describe()).holds).toEqual([{ holder: 'reader', position: 2 }]);
  await expect(topic.hold('late', 1)).rejects.toMatchObject({ code: 'TRIMMED' });
  await topic.trim(3, { force: true });
  expect((await topic.watermarks()).first).toBe(4);
  await topic.release('reader');
  await topic.trim(4);
  await expect(topic.release('reader')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  for (const position of [-1, 0.5, Number.NaN]) {
    await expect(topic.hold('reader', position)).rejects.toMatchObject({
      code: 'POSITION_OUT_OF_RANGE',
    });
  }
});

test('a replica can always start again: nobody trims above its snapshot, also while it is closed', async () => {
  const one = await start('one');
  for (let i = 0; i < 25; i++) await one.execute(1);
  const { holder, position } = await holdAt(10);
  await one.close();
  const { last } = await topic.watermarks();
  await expect(topic.trim(last)).rejects.toMatchObject(refusal);
  await topic.trim(position);

  const again = await start('one');
  await again.caughtUp();
  expect(again.machine.value).toBe(25);
  // Where the draw had it so, a snapshot was due once more on the way.
  const [held] = (await topic.describe()).holds;
  expect(held).toEqual({ holder, position: expect.any(Number) });
  expect(held!.position).toBeGreaterThanOrEqual(position);
  for (let i = 0; i < 25; i++) await again.execute(1);
  await holdAt(position + 10);
  await again.close();
});

test('replicas trim their topic themselves, as far as everybody lets them', async () => {
  const log = topic.asOrderedLog();
  const one = await startReplica({
    ...{ machine: new Sum(), log: topic, trimLog: true },
    snapshots: snapshotDirectory(join(folder, `${topic.id}-trims`)),
  });
  for (let i = 0; i < 10; i++) await one.execute(1);
  await topic.hold('reader', 4);
  const position = await one.snapshot();
  const trimmed = async (upTo: number): Promise<void> => {
    while ((await topic.watermarks()).first <= upTo)
      await new Promise((resolve) => setTimeout(resolve, 10));
  };
  await trimmed(4);
  expect((await topic.watermarks()).first).toBe(5);
  const heldBackBy = { holder: 'reader', position: 4 };
  expect(await log.trim?.(position)).toEqual({ position: 4, heldBackBy });
  await topic.release('reader');
  await one.execute(1);
  const next = await one.snapshot();
  await trimmed(next);
  expect(await log.trim?.(3)).toEqual({ position: next });
  await one.close();
});

test('a force is told to a replica that was left behind: it cannot start, and says so', async () => {
  const one = await start('left');
  // Enough for one snapshot, which is made after 8 to 10 entries, and not for a second one.
  for (let i = 0; i < 12; i++) await one.execute(1);
  const { position } = await holdAt(1);
  await one.close();
  await topic.trim(position + 1, { force: true });
  const again = await start('left');
  await expect(again.caughtUp()).rejects.toMatchObject({ code: 'TRIMMED' });
  await again.close();
});
