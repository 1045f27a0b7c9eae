import type { Channel, UnaryMethod } from '../../base/index.ts';
import { GrpcNetwork } from '../../runtime/index.ts';
import * as admpb from '../../wire/gen/admpb.ts';
import * as mrpb from '../../wire/gen/mrpb.ts';
import * as snpb from '../../wire/gen/snpb.ts';
import * as varlogpb from '../../wire/gen/varlogpb.ts';
import { Cluster } from './cluster.fixture.ts';

const manager = admpb.ClusterManager;
const management = snpb.Management;
const network = new GrpcNetwork();

let cluster: Cluster;
let first: Channel;
beforeAll(async () => {
  cluster = await Cluster.start();
  first = network.connect(cluster.addresses[1]!);
}, 20_000);
afterAll(async () => {
  first.close();
  await cluster.close();
});

const ask = <Request, Response>(
  method: UnaryMethod<Request, Response>,
  request: Partial<Request>,
) => cluster.ask(method, request as Request);
const askNode = <Request, Response>(
  method: UnaryMethod<Request, Response>,
  request: Partial<Request>,
) => first.call(method, request as Request);

/** A log stream on these nodes, the first of them its primary. */
async function logStreamOn(...nodes: number[]): Promise<{ topicId: number; logStreamId: number }> {
  const { topicId } = (await ask(manager.AddTopic, {})).topic!;
  const replicas = nodes.map((storageNodeId) =>
    varlogpb.ReplicaDescriptor.create({ storageNodeId }),
  );
  const { logStream } = await ask(manager.AddLogStream, { topicId, replicas });
  return { topicId, logStreamId: logStream!.logStreamId };
}

async function append(to: { topicId: number; logStreamId: number }, ...texts: string[]) {
  const stream = first.open(snpb.LogIO.Append);
  stream.receive(() => {});
  const payload = texts.map((it) => new TextEncoder().encode(it));
  stream.send(snpb.AppendRequest.create({ ...to, payload }));
  stream.end();
  await stream.closed;
}

const replicaOf = (to: { topicId: number; logStreamId: number }, storageNodeId: number) =>
  varlogpb.LogStreamReplica.create({
    storageNode: varlogpb.StorageNode.create({ storageNodeId }),
    topicLogStream: varlogpb.TopicLogStream.create(to),
  });

describe('storage nodes', () => {
  test('are listed by id, with what they say of themselves', async () => {
    const at = await logStreamOn(1, 2);
    await append(at, 'a');
    const { storageNodes } = await ask(manager.ListStorageNodes, {});
    expect(storageNodes.map((it) => it.storageNode!.storageNode!.storageNodeId)).toEqual([1, 2]);
    const { storageNode, lastHeartbeatTime } = storageNodes[0]!;
    expect(storageNode!.storages.map((it) => it.path)).toEqual(['/storage']);
    expect(storageNode!.startTime!.seconds).toBeGreaterThan(0);
    expect(lastHeartbeatTime!.seconds).toBeGreaterThan(0);
    const found = storageNode!.logStreamReplicas.find(
      (it) => it.logStreamReplica!.topicLogStream!.logStreamId === at.logStreamId,
    );
    expect(found).toMatchObject({
      path: `/storage/replicas/${at.logStreamId}`,
      localHighWatermark: { llsn: 1, glsn: 1 },
    });
    expect(found!.storageSizeBytes).toBeGreaterThan(0);
    const one = await ask(manager.GetStorageNode, { storageNodeId: 2 });
    expect(one.storageNode!.storageNode!.storageNode!.storageNodeId).toBe(2);
  });

  test('one that is unknown is refused, or is gone already', async () => {
    await expect(ask(manager.GetStorageNode, { storageNodeId: 9 })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    await ask(manager.UnregisterStorageNode, { storageNodeId: 9 });
    await expect(ask(manager.UnregisterStorageNode, { storageNodeId: 1 })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    });
    const wrong = askNode(management.GetMetadata, { clusterId: 8 });
    await expect(wrong).rejects.toMatchObject({ code: 'CLUSTER_MISMATCH' });
  });
});

describe('log streams', () => {
  test('are sealed and opened by the cluster manager: the next append is taken at once', async () => {
    const at = await logStreamOn(1, 2);
    for (let round = 1; round <= 3; round++) {
      await append(at, 'a');
      const { logStreams, sealedGlsn } = await ask(manager.Seal, at);
      expect(sealedGlsn).toBe(round);
      expect(logStreams.map((it) => [it.status, it.localHighWatermark!.glsn])).toEqual([
        [varlogpb.LogStreamStatus.LS_STATUS_SEALED, round],
        [varlogpb.LogStreamStatus.LS_STATUS_SEALED, round],
      ]);
      await expect(append(at, 'b')).rejects.toMatchObject({ code: 'SEALED' });
      const { logStream } = await ask(manager.Unseal, at);
      expect(logStream!.status).toBe(varlogpb.LogStreamStatus.LS_STATUS_RUNNING);
    }
  });

  test('and by a storage node, which has that decided by the metadata repository', async () => {
    const at = await logStreamOn(1, 2);
    await append(at, 'a', 'b');
    const about = { clusterId: 7, storageNodeId: 1, ...at };
    expect(await askNode(management.Seal, { ...about, lastCommittedGlsn: 2 })).toMatchObject({
      status: varlogpb.LogStreamStatus.LS_STATUS_SEALED,
      lastCommittedGlsn: 2,
    });
    const { logStream } = await ask(manager.GetLogStream, at);
    expect(logStream!.status).toBe(varlogpb.LogStreamStatus.LS_STATUS_SEALED);
    const open = (...nodes: number[]) =>
      askNode(management.Unseal, { ...about, replicas: nodes.map((it) => replicaOf(at, it)) });
    await expect(open()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(open(1)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    await open(1, 2);
    await append(at, 'c');
    for (const wrong of [{ storageNodeId: 2 }, { topicId: 0 }, { logStreamId: 0 }]) {
      const request = { ...about, ...wrong };
      await expect(askNode(management.Seal, request)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    }
    await expect(askNode(management.Seal, { ...about, logStreamId: 999 })).rejects.toMatchObject({
      code: 'LOG_STREAM_NOT_FOUND',
    });
  });

  test('tell how far a replica has come with another one', async () => {
    const at = await logStreamOn(1);
    await append(at, 'a', 'b');
    const pair = { srcStorageNodeId: 1, dstStorageNodeId: 2 };
    await expect(ask(manager.Sync, { ...at, ...pair })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    await ask(manager.Seal, at);
    const pushedReplica = varlogpb.ReplicaDescriptor.create({ storageNodeId: 2 });
    await ask(manager.UpdateLogStream, { ...at, pushedReplica });
    const end = { llsn: 2, glsn: 2 };
    // The node makes its replica first, and is asked again until it has caught up.
    const progress = async (): Promise<snpb.SyncStatus> => {
      const answer = await ask(manager.Sync, { ...at, ...pair }).catch(() => undefined);
      const status = answer?.status;
      if (status?.state === snpb.SyncState.COMPLETE) return status;
      await new Promise((resolve) => setTimeout(resolve, 10));
      return progress();
    };
    expect(await progress()).toMatchObject({
      first: { llsn: 1, glsn: 1 },
      last: end,
      current: end,
    });
    const backup = snpb.SyncRequestBackupNode.create({ storageNodeId: 2 });
    const { status } = await askNode(management.Sync, { ...at, backup });
    expect(status!.state).toBe(snpb.SyncState.COMPLETE);
    await expect(askNode(management.Sync, at)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await ask(manager.Unseal, at);
    await expect(ask(manager.Sync, { ...at, ...pair })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    });
  });

  test('a replica goes when the metadata says so, and in no other way', async () => {
    const at = await logStreamOn(1, 2);
    const onFirst = { ...at, storageNodeId: 1 };
    const remove = ask(manager.RemoveLogStreamReplica, onFirst);
    await expect(remove).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    await expect(askNode(management.RemoveLogStream, onFirst)).rejects.toThrow(
      /FAILED_PRECONDITION.*UpdateLogStream/,
    );
    await expect(askNode(management.AddLogStreamReplica, onFirst)).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    });
    const unknown = { ...onFirst, logStreamId: 999 };
    await expect(askNode(management.AddLogStreamReplica, unknown)).rejects.toThrow(
      /FAILED_PRECONDITION.*AddLogStream/,
    );
    await expect(askNode(management.RemoveLogStream, unknown)).rejects.toMatchObject({
      code: 'LOG_STREAM_NOT_FOUND',
    });
    await ask(manager.Seal, at);
    const poppedReplica = varlogpb.ReplicaDescriptor.create({ storageNodeId: 1 });
    await ask(manager.UpdateLogStream, { ...at, poppedReplica });
    await ask(manager.RemoveLogStreamReplica, onFirst);
    expect(cluster.nodes[1]!.replicas.has(at.logStreamId)).toBe(false);
    await ask(manager.RemoveLogStreamReplica, onFirst);
  });

  test('are trimmed, with a result for every replica', async () => {
    const at = await logStreamOn(1, 2);
    await append(at, 'a', 'b');
    const { topicId, logStreamId } = at;
    const { results } = await ask(manager.Trim, { topicId, lastGlsn: 1 });
    expect(results.map((it) => [it.storageNodeId, it.logStreamId, it.error])).toEqual([
      [1, logStreamId, ''],
      [2, logStreamId, ''],
    ]);
    await expect(ask(manager.Trim, { topicId, lastGlsn: 2 ** 63 })).rejects.toMatchObject({
      code: 'POSITION_OUT_OF_RANGE',
    });
    const own = await askNode(management.Trim, { topicId, lastGlsn: 2 });
    expect(Object.entries(own.results)).toEqual([[String(logStreamId), '']]);
  });

  test('a commit is found by its version while it is kept', async () => {
    const at = await logStreamOn(1);
    await append(at, 'a');
    await append(at, 'b');
    const get = (version: number) =>
      ask(mrpb.MetadataRepositoryService.GetCommitResult, { ...at, version });
    const last = (await get(0)).commitResult!;
    expect(last).toMatchObject({ version: 2, committedGlsnOffset: 2 });
    expect((await get(2)).commitResult).toEqual(last);
    await expect(get(9)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const none = ask(mrpb.MetadataRepositoryService.GetCommitResult, { ...at, topicId: 0 });
    await expect(none).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

test('ids of 0 are refused everywhere', async () => {
  const calls = [
    ask(manager.GetTopic, {}),
    ask(manager.GetLogStream, {}),
    ask(manager.ListLogStreams, {}),
    ask(manager.AddLogStream, {}),
    ask(manager.Seal, {}),
    ask(manager.Unseal, {}),
    ask(manager.Sync, {}),
    ask(manager.Trim, {}),
    ask(manager.GetStorageNode, {}),
    ask(manager.UnregisterStorageNode, {}),
    ask(manager.UnregisterTopic, {}),
    ask(manager.RemoveLogStreamReplica, {}),
    ask(mrpb.MetadataRepositoryService.RegisterTopic, {}),
    append({ topicId: 0, logStreamId: 1 }, 'x'),
  ];
  for (const it of await Promise.allSettled(calls)) {
    expect(it).toMatchObject({ status: 'rejected', reason: { code: 'INVALID_ARGUMENT' } });
  }
});
