import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import * as admpb from '../../wire/gen/admpb.ts';
import { Varlog } from './index.ts';
import { type RealCluster, startRealCluster } from './real-cluster.fixture.ts';

const network = new GrpcNetwork();
let cluster: RealCluster;
let varlog: Varlog;

beforeAll(async () => {
  cluster = await startRealCluster(2);
  const ports = { clock: realClock(), random: realRandom, network };
  varlog = await Varlog.connect({ ports, endpoints: cluster.endpoint });
  await varlog.ready({ storageNodes: 2, timeoutMs: 30_000 });
}, 60_000);

afterAll(async () => {
  await varlog.close();
  await cluster.close();
});

const primaryOf = async (topic: number): Promise<number> => {
  const [stream] = (await varlog.topic(topic).describe()).logStreams;
  return stream!.replicas[0]!;
};

test('a preferred replica is the primary when its log stream opens next', async () => {
  const { id: topicId } = await varlog.createTopic();
  const [stream] = (await varlog.topic(topicId).describe()).logStreams;
  const { id: logStreamId, replicas } = stream!;
  const [before, after] = replicas as [number, number];
  await varlog.topic(topicId).append('a record');
  await varlog.preferPrimary(logStreamId, after);
  await varlog.preferPrimary(logStreamId, after);
  expect(await primaryOf(topicId)).toBe(before);
  const manager = network.connect(cluster.endpoint);
  const both = { topicId, logStreamId };
  await manager.call(admpb.ClusterManager.Seal, admpb.SealRequest.create(both));
  await manager.call(admpb.ClusterManager.Unseal, admpb.UnsealRequest.create(both));
  manager.close();
  expect(await primaryOf(topicId)).toBe(after);
}, 60_000);

test('only a replica can be preferred, of a log stream that there is', async () => {
  const topic = await varlog.createTopic();
  const [stream] = (await topic.describe()).logStreams;
  await expect(varlog.preferPrimary(stream!.id, 9)).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringContaining('choose one of'),
  });
  await expect(varlog.preferPrimary(999, 1)).rejects.toMatchObject({
    code: 'LOG_STREAM_NOT_FOUND',
  });
}, 60_000);
