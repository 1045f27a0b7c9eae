import type { DiskFaults } from '../../testing/simulator/disk.ts';
import { Commit, FetchResponse, LogStreams, ReadRequest } from '../../wire/gen/log.ts';
import { batchOf, eventually, TestCluster } from './cluster.fixture.ts';
import { restartAt } from './restart-at.ts';

let cluster: TestCluster;

async function clusterOf(nodes: number[], logStreams = 1): Promise<TestCluster> {
  cluster = await TestCluster.withLogStreams(nodes, logStreams);
  return cluster;
}

afterEach(async () => {
  for (const disk of cluster.disks.values()) disk.faults = {};
  await cluster.close();
});

/** Not even what was given back before makes room. */
const NOTHING_FITS: DiskFaults = {
  fail: ({ kind }) => (kind === 'write' ? 'ENOSPC' : undefined),
};

const LARGE = batchOf(['x'.repeat(200_000)]);

/** Nothing more fits on the disk of a node. */
function fill(node: number): void {
  const disk = cluster.disks.get(node)!;
  const used = disk.files().reduce((sum, it) => sum + it.size, 0);
  disk.faults = { capacityBytes: used };
}

/** Appends until the disk of the primary is full; how many were acknowledged. */
async function appendUntilFull(): Promise<{ acknowledged: number; late: Promise<unknown> }> {
  const appender = cluster.appender(1);
  let acknowledged = 0;
  for (;;) {
    const result = appender.send(LARGE);
    const full = new Promise<'full'>((resolve, reject) => {
      eventually(() => cluster.replica(1).storage.full !== undefined).then(
        () => resolve('full'),
        reject,
      );
    });
    const first = await Promise.race([result, full]);
    if (first === 'full') return { acknowledged, late: result };
    expect(first.failure).toBeNull();
    acknowledged++;
    full.catch(() => {});
  }
}

test('a full disk refuses appends for certain, serves reads and trims, and takes appends again', async () => {
  await clusterOf([1]);
  const appender = cluster.appender(1);
  for (let i = 0; i < 5; i++) await appender.append(`a${i}`);
  fill(1);
  const { acknowledged, late } = await appendUntilFull();
  const { failure } = await appender.append('too much');
  expect(failure).toMatchObject({ code: 'DISK_FULL', outcome: 'notAppended' });
  const node = cluster.nodes.get(1)!;
  expect(node.health).toBeUndefined();
  expect(node.notReady().join()).toContain('the disk is full');
  expect((await cluster.read(1, 1, 5)).length).toBe(5);
  cluster.apply({ kind: 'trim', topicId: 1, glsn: 3 });
  await eventually(() => cluster.replica(1).storage.records.first === 4);
  const request = ReadRequest.create({ topicId: 1, logStreamId: 1, fromGlsn: 2, toGlsn: 5 });
  const stream = cluster.connect(1).subscribe(LogStreams.Read, request);
  stream.receive(() => {});
  await expect(stream.closed).rejects.toMatchObject({ code: 'TRIMMED' });
  cluster.disks.get(1)!.faults = {};
  // What was taken before is in the log, once.
  expect(await late).toMatchObject({ failure: null, llsn: 5 + acknowledged + 1 });
  await eventually(() => cluster.replica(1).storage.full === undefined);
  expect(await appender.append('again')).toMatchObject({ failure: null });
  expect(node.notReady()).toEqual([]);
});

test.each([
  ['are on the disk', true],
  ['are not on the disk', false],
])(
  'a trim that cannot be finished on a full disk is in the way of no other one: its commits %s',
  async (_, areDurable) => {
    await clusterOf([1]);
    const appender = cluster.appender(1);
    for (let i = 0; i < 5; i++) await appender.append(`a${i}`);
    if (areDurable) await cluster.replica(1).storage.commits.flush();
    fill(1);
    const { late } = await appendUntilFull();
    cluster.apply({ kind: 'trim', topicId: 1, glsn: 2 });
    await eventually(() => cluster.replica(1).storage.records.first === 3);
    cluster.apply({ kind: 'trim', topicId: 1, glsn: 4 });
    await eventually(() => cluster.replica(1).storage.records.first === 5);
    expect(cluster.replica(1).storage.full).toBeDefined();
    cluster.disks.get(1)!.faults = {};
    await late;
    // Once there is room, what was left is done.
    await eventually(() => cluster.replica(1).head.dropped === 4);
    expect(cluster.replica(1).storage.commits.firstVersion).toBeGreaterThan(1);
  },
);

test('a log stream that is sealed while the disk is full is opened again once there is room', async () => {
  await clusterOf([1]);
  await cluster.appender(1).append('a');
  fill(1);
  const { late } = await appendUntilFull();
  cluster.apply({ kind: 'seal', id: 1, byOperator: false });
  cluster.disks.get(1)!.faults = {};
  await late;
  await eventually(() => cluster.reported(1) === 'sealed');
  await cluster.reopen(1, [1]);
  expect(await cluster.appender(1).append('b')).toMatchObject({ failure: null });
});

test('a backup that is to begin anew on a full disk stays as it is, and begins anew once there is room', async () => {
  await clusterOf([1, 2]);
  const appender = cluster.appender(1);
  for (let i = 0; i < 5; i++) await appender.append(`a${i}`);
  const replica = cluster.replica(2);
  await eventually(() => replica.core.committedEnd === 5);
  const { records, commits } = replica.storage;
  const commit = Commit.create({ ...(await commits.findByLlsn(3))!, logStreamId: 1 });
  const source = FetchResponse.create({ firstLlsn: 3, firstGlsn: 3, commits: [commit] });
  const begin = () => restartAt(replica, source, new AbortController().signal);
  cluster.disks.get(2)!.faults = NOTHING_FITS;
  await begin();
  expect([replica.failure, replica.restarting]).toEqual([undefined, false]);
  expect([records.first, records.end]).toEqual([1, 5]);
  cluster.disks.get(2)!.faults = {};
  await begin();
  expect([replica.failure, replica.restarting]).toEqual([undefined, false]);
  expect([records.first, records.end]).toEqual([3, 5]);
});

test.each([
  ['on the disk', 3, 6],
  ['that wait for room', 7, 6],
])(
  'a backup on a full disk that begins anew behind records %s vouches for none that waits',
  async (_, firstLlsn, end) => {
    await clusterOf([1, 2]);
    const appender = cluster.appender(1);
    for (let i = 0; i < 5; i++) await appender.append(`a${i}`);
    const replica = cluster.replica(2);
    const { records, commits } = replica.storage;
    await eventually(() => replica.core.committedEnd === 5);
    const known = (await commits.findByLlsn(Math.min(firstLlsn, 5)))!;
    const commit = Commit.create({ ...known, logStreamId: 1 });
    const source = FetchResponse.create({ firstLlsn, firstGlsn: firstLlsn, commits: [commit] });
    fill(2);
    void appender.send(LARGE);
    await eventually(() => records.full !== undefined);
    expect([records.durableEnd, records.end]).toEqual([5, 6]);
    // There is room for all but what waits, which would take any that there is.
    cluster.disks.get(2)!.faults = {
      fail: ({ kind, path }) =>
        kind === 'write' && /records.*\.segment$/.test(path) ? 'ENOSPC' : undefined,
    };
    await restartAt(replica, source, new AbortController().signal);
    expect([records.first, records.end, replica.core.end]).toEqual([firstLlsn, end, end]);
    expect(replica.core.durableEnd).toBe(records.durableEnd);
  },
);

test('commits whose records wait for room are not said to be on the disk', async () => {
  await clusterOf([1, 2, 3]);
  const appender = cluster.appender(1);
  await appender.append('a');
  const { core, storage } = cluster.replica(3);
  await eventually(() => core.committedEnd === 1);
  cluster.disks.get(3)!.faults = {
    fail: ({ kind, path }) =>
      kind === 'write' && path.includes('/records/') ? 'ENOSPC' : undefined,
  };
  for (let i = 0; i < 3; i++) await appender.send(LARGE);
  await eventually(() => core.committedEnd === 4 && storage.full !== undefined);
  // There is room for them, and their time comes.
  await new Promise((resolve) => setTimeout(resolve, 6_000));
  expect([storage.records.durableEnd, storage.commits.persistedVersion]).toEqual([1, 0]);
  cluster.disks.get(3)!.faults = {};
  await eventually(() => storage.commits.persistedVersion === core.version);
});

describe('a node whose disk stays full is closed all the same', () => {
  test.each([
    ['while it trims', () => cluster.apply({ kind: 'trim', topicId: 1, glsn: 3 })],
    ['while it seals', () => cluster.apply({ kind: 'seal', id: 1, byOperator: false })],
  ])('%s', async (_, work) => {
    await clusterOf([1]);
    const appender = cluster.appender(1);
    for (let i = 0; i < 5; i++) await appender.append(`a${i}`);
    cluster.disks.get(1)!.faults = NOTHING_FITS;
    const late = appender.append('late');
    await eventually(() => cluster.replica(1).storage.full !== undefined);
    work();
    await eventually(() => {
      const { assignment } = cluster.replica(1);
      return assignment?.trimmedGlsn === 3 || assignment?.sealed === true;
    });
    const node = cluster.nodes.get(1)!;
    await node.close();
    expect((await late).failure?.code).toMatch(/APPEND_UNKNOWN|SEALED/);
    expect(cluster.disks.get(1)!.openFiles).toBe(0);
  });

  test('also when it becomes full while it is closed', async () => {
    await clusterOf([1]);
    await cluster.appender(1).append('a');
    const { storage, turns } = cluster.replica(1);
    // What was begun when there was room, and needs some.
    turns.post(() => storage.records.flushed(storage.records.end + 1));
    const closed = cluster.nodes.get(1)!.close();
    cluster.disks.get(1)!.faults = NOTHING_FITS;
    storage.records.append([{ position: 2, count: 1, epoch: 1, payload: new Uint8Array(8) }]);
    await closed;
    expect(cluster.disks.get(1)!.openFiles).toBe(0);
  });
});

test('a replica that finds no room when it is opened is opened when there is some', async () => {
  await clusterOf([1, 2]);
  cluster.apply({ kind: 'seal', id: 1, byOperator: false });
  fill(2);
  cluster.apply({ kind: 'registerLogStream', id: 2, topicId: 1, replicas: [2] });
  await eventually(() => cluster.reported(2, 2) === 'failed');
  cluster.disks.get(2)!.faults = {};
  await eventually(() => cluster.reported(2, 2) === 'sealed');
});
