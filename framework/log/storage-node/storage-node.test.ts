import { BATCH_BYTES_MAX, RECORD_BYTES_MAX } from '../../base/index.ts';
import { LogStreams, ReadRequest } from '../../wire/gen/log.ts';
import { batchOf, eventually, TestCluster } from './cluster.fixture.ts';
import { startStorageNode } from './storage-node.ts';

let cluster: TestCluster;

async function clusterOf(nodes: number[], logStreams = 1): Promise<TestCluster> {
  cluster = await TestCluster.withLogStreams(nodes, logStreams);
  return cluster;
}

afterEach(() => cluster.close());

describe('one replica', () => {
  test('acknowledges what is ordered, and reads it back', async () => {
    await clusterOf([1]);
    const appender = cluster.appender(1);
    expect(await appender.append('a', 'b')).toMatchObject({ glsn: 1, llsn: 1, failure: null });
    expect(await appender.append('c')).toMatchObject({ glsn: 3, llsn: 3, failure: null });
    expect(await cluster.read(1, 1, 3)).toEqual(['1:a', '2:b', '3:c']);
    expect(await cluster.read(1, 3, 3)).toEqual(['3:c']);
  });

  test('numbers the records of a topic across its log streams', async () => {
    await clusterOf([1], 2);
    const appender = cluster.appender(1);
    await appender.append('a');
    await appender.send({ ...batchOf(['b']), logStreamId: 2 });
    await appender.append('c');
    expect(await cluster.read(1, 1, 3)).toEqual(['1:a', '3:c']);
    expect(await cluster.read(1, 1, 3, 2)).toEqual(['2:b']);
  });

  test('refuses what is wrong, and stores nothing of it', async () => {
    await clusterOf([1]);
    const appender = cluster.appender(1);
    const good = batchOf(['a']);
    const table = [
      [{ ...good, logStreamId: 9 }, 'LOG_STREAM_NOT_FOUND'],
      [{ ...good, topicId: 2 }, 'LOG_STREAM_NOT_FOUND'],
      [{ count: 0, records: new Uint8Array() }, 'EMPTY_BATCH'],
      [{ count: 2, records: good.records }, 'INVALID_ARGUMENT'],
      [{ count: 1, records: new Uint8Array([9, 0, 0, 0, 1]) }, 'INVALID_ARGUMENT'],
      [{ count: 1, records: new Uint8Array(3) }, 'INVALID_ARGUMENT'],
      [batchOf(['x'.repeat(RECORD_BYTES_MAX + 1)]), 'ENTRY_TOO_LARGE'],
      [{ count: 1, records: new Uint8Array(BATCH_BYTES_MAX + 1) }, 'ENTRY_TOO_LARGE'],
    ] as const;
    for (const [batch, code] of table) {
      const { failure } = await appender.send(batch);
      expect([failure?.code, failure?.outcome]).toEqual([code, 'notAppended']);
    }
    expect(cluster.replica(1).core.end).toBe(0);
    expect(await appender.append('a')).toMatchObject({ glsn: 1, failure: null });
  });

  test('a reader hears at once how far the topic goes, then of every commit, then nothing is left of it', async () => {
    await clusterOf([1]);
    const appender = cluster.appender(1);
    await appender.append('a');
    const heard: number[] = [];
    const request = ReadRequest.create({ topicId: 1, logStreamId: 1, fromGlsn: 2 });
    const stream = cluster.connect(1).subscribe(LogStreams.Read, request);
    stream.receive(({ batches, highWatermark }) => {
      heard.push(...batches.map((it) => it.glsn), -highWatermark);
    });
    await eventually(() => heard.includes(-1));
    await appender.append('b');
    await eventually(() => heard.includes(-2));
    expect(heard.indexOf(2)).toBeLessThan(heard.indexOf(-2));
    stream.cancel();
  });

  test('a primary that restarted appends only in a new epoch, and has what it had', async () => {
    await clusterOf([1]);
    await cluster.appender(1).append('a', 'b');
    await cluster.stopNode(1, 'powerLoss');
    await cluster.startNode(1);
    await eventually(() => cluster.reported(1) === 'restarted');
    const refused = await cluster.appender(1).append('c');
    expect(refused.failure).toMatchObject({ code: 'SEALED', outcome: 'notAppended' });
    await cluster.reopen(1, [1]);
    expect(await cluster.appender(1).append('c')).toMatchObject({ glsn: 3, llsn: 3 });
    expect(await cluster.read(1, 1, 3)).toEqual(['1:a', '2:b', '3:c']);
  });

  test('what was trimmed stays so after a restart', async () => {
    await clusterOf([1]);
    const appender = cluster.appender(1);
    await appender.append('a', 'b', 'c');
    await appender.append('d');
    cluster.apply({ kind: 'trim', topicId: 1, glsn: 2 });
    await eventually(() => cluster.replica(1).head.trimmed === 2);
    const trimmed = { code: 'TRIMMED', details: { firstAvailable: 3 } };
    await expect(cluster.read(1, 2, 4)).rejects.toMatchObject(trimmed);
    await cluster.stopNode(1, 'powerLoss');
    await cluster.startNode(1);
    await eventually(() => cluster.reported(1) === 'restarted');
    await expect(cluster.read(1, 2, 4)).rejects.toMatchObject(trimmed);
    await cluster.reopen(1, [1]);
    expect((await cluster.read(1, 3, 4)).at(-1)).toBe('4:d');
  });

  test('a failed disk takes its log streams with it, and no acknowledgement is made up', async () => {
    await clusterOf([1]);
    cluster.disks.get(1)!.faults = { fail: (it) => (it.kind === 'sync' ? 'EIO' : undefined) };
    const { failure } = await cluster.appender(1).append('a');
    expect(failure).toMatchObject({ code: 'APPEND_UNKNOWN', outcome: 'unknown' });
    await eventually(() => cluster.reported(1) === 'failed');
  });

  test('an emptied disk is not taken for a new one', async () => {
    await clusterOf([1]);
    await cluster.appender(1).append('a');
    await cluster.stopNode(1);
    await cluster.disks.get(1)!.remove('storage');
    const node = await cluster.startNode(1);
    const next = `"varlog node replace 1 --disk ${node.disk}"`;
    await eventually(() => node.notReady().some((it) => it.includes(next)));
    expect(node.replicas.size).toBe(0);
    cluster.apply({ kind: 'replaceStorageNode', id: 1, disk: node.disk });
    await eventually(() => cluster.reported(1) === 'damaged');
    expect(cluster.replica(1).core.end).toBe(0);
  });

  test('a second process of a node waits until the first one is surely gone', async () => {
    await clusterOf([1]);
    await cluster.appender(1).append('a');
    const twin = await cluster.startTwin(1);
    await eventually(() => twin.notReady().some((it) => it.includes('another process')));
    expect(twin.status.connected).toBe(false);
    await cluster.appender(1).append('b');
    await cluster.stopNode(1);
    await eventually(() => twin.status.connected);
    await twin.close();
  });

  test('what is not mentioned stays; what was taken away can be brought back', async () => {
    await clusterOf([1, 2, 3]);
    await cluster.appender(1).append('a', 'b');
    await eventually(() => cluster.replica(3).core.committedEnd === 2);
    await cluster.stopNode(3);
    const disk = cluster.disks.get(3)!;
    cluster.forgets = (node) => node === 3;
    const forgotten = await cluster.startNode(3);
    await eventually(() => forgotten.status.connected);
    await cluster.stopNode(3);
    expect(await disk.list('storage/replicas')).toEqual(['1']);
    cluster.forgets = () => false;
    await cluster.startNode(3);
    await cluster.reopen(1, [1, 2]);
    cluster.setReplicas([1, 2]);
    await eventually(() => cluster.metadata.storageNodes.get(3)!.removed.length === 0);
    expect(await disk.list('storage/replicas')).toEqual([]);
    expect(await disk.list('storage/trash')).toHaveLength(1);
    cluster.setReplicas([1, 2, 3]);
    await cluster.reopen(1, [1, 2]);
    await eventually(() => cluster.state(3) === 'learning');
    expect(cluster.replica(3).core.committedEnd).toBe(2);
    expect(await disk.list('storage/trash')).toEqual([]);
  });

  test('a damaged replica is reported, and the others go on', async () => {
    await clusterOf([1], 2);
    await cluster.stopNode(1);
    const disk = cluster.disks.get(1)!;
    const file = await disk.open('storage/replicas/2/state', 'existing');
    await file.write(20, [new Uint8Array([255, 255])]);
    await file.sync();
    await file.close();
    await cluster.startNode(1);
    await eventually(() => cluster.reported(1, 2) === 'damaged');
    await cluster.reopen(1, [1]);
    expect(await cluster.appender(1).append('a')).toMatchObject({ failure: null });
  });

  test('what is no replica among the replicas is left where it is', async () => {
    await clusterOf([1]);
    await cluster.appender(1).append('a');
    await cluster.stopNode(1);
    const disk = cluster.disks.get(1)!;
    for (const name of ['lost+found', '1.bak', '-1', '0']) {
      await disk.makeDirectory(`storage/replicas/${name}`);
    }
    const node = await cluster.startNode(1);
    expect([...node.replicas.keys()]).toEqual([1]);
    await eventually(() => cluster.reported(1) === 'restarted');
    expect(node.notReady()).toEqual([]);
    expect(await disk.list('storage/replicas')).toContain('lost+found');
  });

  test('a trim that was noted and not carried out is carried out by the next process', async () => {
    await clusterOf([1]);
    const appender = cluster.appender(1);
    for (const text of ['a', 'b', 'c']) await appender.append(text);
    await cluster.replica(1).storage.save({ trimmedGlsn: 2 });
    await cluster.stopNode(1, 'powerLoss');
    await cluster.startNode(1);
    await eventually(() => cluster.reported(1) === 'restarted');
    await eventually(() => cluster.replica(1).storage.records.first === 3);
  });

  test('a folder is for one node of one cluster', async () => {
    await clusterOf([1]);
    const { options } = cluster.nodes.get(1)!;
    await cluster.stopNode(1);
    const other = startStorageNode({ ...options, storageNodeId: 2 });
    await expect(other).rejects.toMatchObject({ code: 'IDENTITY_MISMATCH' });
  });

  test("a folder that has replicas, and no word of whose it is, is nobody's", async () => {
    await clusterOf([1]);
    await cluster.stopNode(1);
    const disk = cluster.disks.get(1)!;
    await disk.remove('storage/identity');
    const before = disk.files();
    await expect(cluster.startNode(1)).rejects.toMatchObject({ code: 'DISK_LOST' });
    expect(disk.files()).toEqual(before);
  });

  test('a replica that is taken away ends its readers and leaves nothing', async () => {
    await clusterOf([1]);
    await cluster.appender(1).append('a');
    const endless = cluster.read(1, 1, 100);
    await eventually(() => cluster.metadata.topics.get(1)!.highWatermark === 1);
    cluster.apply({ kind: 'seal', id: 1, byOperator: false });
    cluster.apply({ kind: 'unregisterLogStream', id: 1 });
    await expect(endless).rejects.toMatchObject({ code: 'LOG_STREAM_NOT_FOUND' });
    await cluster.stopNode(1);
    expect(await cluster.disks.get(1)!.list('storage/replicas')).toEqual([]);
  });
});

describe('several replicas', () => {
  test('backups have what the primary has, with the same positions', async () => {
    await clusterOf([1, 2, 3]);
    const appender = cluster.appender(1);
    for (let i = 0; i < 20; i++) await appender.append(`a${i}`, `b${i}`);
    const here = await cluster.read(1, 1, 40);
    expect(here).toHaveLength(40);
    expect(await cluster.read(2, 1, 40)).toEqual(here);
    expect(await cluster.read(3, 1, 40)).toEqual(here);
  });

  test('a backup says who the primary is', async () => {
    await clusterOf([1, 2]);
    const { failure } = await cluster.appender(2).append('a');
    expect(failure).toMatchObject({ code: 'NOT_PRIMARY', outcome: 'notAppended' });
    const { address } = cluster.metadata.storageNodes.get(1)!;
    expect(JSON.parse(failure!.details)).toMatchObject({ primary: address });
  });

  test('a backup that was away catches up and counts again', async () => {
    await clusterOf([1, 2, 3]);
    await cluster.stopNode(3, 'powerLoss');
    const appender = cluster.appender(1);
    for (let i = 0; i < 30; i++) await appender.append(`a${i}`);
    await cluster.startNode(3);
    await cluster.stopNode(2);
    expect(await appender.append('z')).toMatchObject({ glsn: 31, failure: null });
    expect(await cluster.read(3, 1, 31)).toEqual(await cluster.read(1, 1, 31));
  });

  test('a seal cuts off what was not ordered, and says so to those who wait', async () => {
    await clusterOf([1, 2, 3]);
    const appender = cluster.appender(1);
    await appender.append('a');
    await cluster.stopNode(2);
    await cluster.stopNode(3);
    const waiting = appender.append('lost');
    await eventually(() => cluster.replica(1).core.durableEnd === 2);
    cluster.apply({ kind: 'seal', id: 1, byOperator: false });
    expect((await waiting).failure).toMatchObject({ code: 'SEALED', outcome: 'notAppended' });
    await eventually(() => cluster.reported(1) === 'sealed');
    expect(cluster.replica(1).core.end).toBe(1);
    await cluster.startNode(2);
    await cluster.reopen(1, [1, 2]);
    expect(await appender.append('b')).toMatchObject({ glsn: 2, llsn: 2, failure: null });
    expect(await cluster.read(2, 1, 2)).toEqual(['1:a', '2:b']);
  });

  test('what was ordered before a seal is acknowledged, also when its commit comes after that', async () => {
    await clusterOf([1, 2, 3]);
    const appender = cluster.appender(1);
    cluster.loses = (_, node) => node === 1;
    const waiting = appender.append('a');
    await eventually(() => cluster.metadata.logStreams.get(1)!.end === 1);
    cluster.apply({ kind: 'seal', id: 1, byOperator: false });
    await eventually(() => cluster.replica(1).assignment?.sealed === true);
    cluster.loses = () => false;
    expect(await waiting).toMatchObject({ glsn: 1, llsn: 1, failure: null });
  });

  test('a primary that was left behind gives up its records for those that were ordered', async () => {
    await clusterOf([1, 2, 3]);
    const old = cluster.appender(1);
    await old.append('a');
    await eventually(() => [2, 3].every((it) => cluster.replica(it).core.committedEnd === 1));
    await cluster.stopNode(2);
    await cluster.stopNode(3);
    cluster.isolate(1);
    const left = old.append('left');
    await eventually(() => cluster.replica(1).core.durableEnd === 2);
    // Kept from following the old primary until it no longer counts.
    cluster.apply({ kind: 'seal', id: 1, byOperator: false });
    await cluster.startNode(2);
    await cluster.startNode(3);
    await cluster.reopen(1, [2, 3]);
    await cluster.appender(2).append('new');
    cluster.rejoin(1);
    expect((await left).failure).toMatchObject({ code: 'APPEND_UNKNOWN', outcome: 'unknown' });
    await eventually(() => cluster.replica(1).core.committedEnd === 2);
    expect(await cluster.read(1, 1, 2)).toEqual(['1:a', '2:new']);
    await cluster.reopen(1, [1, 2, 3]);
    expect(await cluster.appender(1).append('c')).toMatchObject({ glsn: 3, failure: null });
    expect(await cluster.read(3, 1, 3)).toEqual(['1:a', '2:new', '3:c']);
  });

  test('a replica on a new node gets everything, also from one that was trimmed within a batch', async () => {
    await clusterOf([1, 2, 3]);
    cluster.apply({ kind: 'seal', id: 1, byOperator: false });
    cluster.setReplicas([1, 2]);
    await eventually(() => cluster.state(3) === 'absent');
    await cluster.reopen(1, [1, 2]);
    const appender = cluster.appender(1);
    await appender.append('a', 'b', 'c', 'd');
    await appender.append('e');
    cluster.apply({ kind: 'trim', topicId: 1, glsn: 2 });
    await eventually(() => [1, 2].every((it) => cluster.replica(it).head.trimmed === 2));
    cluster.setReplicas([1, 2, 3]);
    await cluster.reopen(1, [1, 2]);
    await eventually(() => cluster.reported(3) === 'learning');
    await eventually(() => cluster.replica(3).core.committedEnd === 5);
    await cluster.stopNode(3, 'powerLoss');
    await cluster.startNode(3);
    await eventually(() => cluster.nodes.get(3)!.replicas.get(1)?.core.committedEnd === 5);
    await cluster.reopen(1, [3, 1]);
    expect(await cluster.appender(3).append('f')).toMatchObject({ glsn: 6, llsn: 6 });
    expect((await cluster.read(3, 3, 6)).slice(-4)).toEqual(['3:c', '4:d', '5:e', '6:f']);
    await expect(cluster.read(3, 2, 6)).rejects.toMatchObject({ code: 'TRIMMED' });
  });

  test('a replica on a new node gets everything of a log stream that was trimmed up to its last commit, and gets no more appends', async () => {
    cluster = await TestCluster.start([1, 2]);
    cluster.apply({ kind: 'registerLogStream', id: 1, topicId: 1, replicas: [1] });
    await cluster.reopen(1, [1]);
    const appender = cluster.appender(1);
    await appender.append('a');
    await appender.append('b', 'c', 'd');
    cluster.apply({ kind: 'trim', topicId: 1, glsn: 2 });
    await eventually(() => cluster.replica(1).head.trimmed === 2);
    const { revision } = cluster.metadata.logStreams.get(1)!;
    cluster.apply({ kind: 'moveReplicas', id: 1, replicas: [1, 2], leaving: [], revision });
    await eventually(() => cluster.nodes.get(2)!.replicas.get(1)?.core.committedEnd === 4);
    await cluster.reopen(1, [2, 1]);
    expect((await cluster.read(2, 3, 4)).slice(-2)).toEqual(['3:c', '4:d']);
  });

  test('a lost commit is asked for again', async () => {
    await clusterOf([1, 2]);
    let lost = 0;
    cluster.loses = ({ version }, node) => node === 2 && version === 2 && lost++ === 0;
    const appender = cluster.appender(1);
    for (let i = 0; i < 4; i++) await appender.append(`a${i}`);
    expect(await cluster.read(2, 1, 4)).toEqual(['1:a0', '2:a1', '3:a2', '4:a3']);
    expect(lost).toBeGreaterThan(0);
  });

  test('commits that the repository never sends come from the primary', async () => {
    await clusterOf([1, 2]);
    cluster.loses = ({ version }, node) => node === 2 && version === 2;
    const appender = cluster.appender(1);
    for (let i = 0; i < 20; i++) await appender.append(`a${i}`);
    expect(await cluster.read(2, 1, 20)).toEqual(await cluster.read(1, 1, 20));
  });
});
