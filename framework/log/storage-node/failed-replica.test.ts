import { realRandom } from '../../runtime/index.ts';
import { freeAddresses } from '../../testing/free-addresses.ts';
import { SimulatedDisk } from '../../testing/simulator/disk.ts';
import { LogStreams, ReadRequest } from '../../wire/gen/log.ts';
import * as snpb from '../../wire/gen/snpb.ts';
import { eventually, TestCluster } from './cluster.fixture.ts';

let cluster: TestCluster;

async function clusterOf(nodes: number[]): Promise<TestCluster> {
  cluster = await TestCluster.withLogStreams(nodes);
  return cluster;
}

afterEach(() => cluster.close());

async function append(node: number, count: number): Promise<void> {
  const appender = cluster.appender(node);
  for (let i = 0; i < count; i++) {
    expect((await appender.append(`record ${i}`)).failure).toBeNull();
  }
}

/** What the published Subscribe gives, and what it ends with. */
async function subscribe(node: number, glsnBegin: number, glsnEnd: number) {
  const request = { topicId: 1, logStreamId: 1, glsnBegin, glsnEnd };
  const method = snpb.LogIO.Subscribe;
  const stream = cluster.connect(node).subscribe(method, snpb.SubscribeRequest.create(request));
  const found: number[] = [];
  stream.receive(({ glsn }) => {
    found.push(glsn);
  });
  const code = await stream.closed.then(
    () => 'OK',
    (error: { code: string }) => error.code,
  );
  return { found, code };
}

const positions = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

/** What was put aside, of log stream 1. */
const UNFIT = /^1\.\d+\.unfit$/;

/** Changes a byte of the first record, which lies far before the last one that was synced. */
function damage(node: number, records = 'storage/replicas/1/records/'): void {
  const disk = cluster.disks.get(node)!;
  const { path } = disk.files().find((it) => it.path.startsWith(records) && /seg/.test(it.path))!;
  disk.damage(path, (bytes) => {
    const at = Buffer.from(bytes).indexOf('record 0');
    bytes[at + 7]! ^= 1;
  });
}

/** The disk of a node fails to sync from now on; what was synced can be read. */
const failSyncs = (node: number): void => {
  cluster.disks.get(node)!.faults = {
    fail: ({ kind, path }) =>
      kind === 'sync' || kind === 'write'
        ? path.includes('records')
          ? 'EIO'
          : undefined
        : undefined,
  };
};

test('a node that cannot write down its cluster tries again', async () => {
  cluster = await TestCluster.start([]);
  const disk = new SimulatedDisk({ random: realRandom });
  let isBroken = true;
  let written = 0;
  disk.faults = {
    fail: ({ kind, path }) => {
      if (kind !== 'sync' || path !== 'storage/identity.new') return undefined;
      // The first time it is written to say whose folder it is.
      return ++written > 1 && isBroken ? 'EIO' : undefined;
    },
  };
  cluster.disks.set(7, disk);
  const [address] = await freeAddresses(1);
  cluster.apply({ kind: 'registerStorageNode', id: 7, address: address! });
  const node = await cluster.startNode(7);
  await eventually(() => node.status.refusal?.message.includes('EIO') === true && written > 2);
  expect(node.status.connected).toBe(false);
  isBroken = false;
  await eventually(() => node.status.connected);
  expect(node.cluster).toBe('test cluster');
});

describe('one replica of three whose disk failed', () => {
  test('vouches for nothing any more, and ends all who read from it', async () => {
    await clusterOf([1, 2, 3]);
    await append(1, 5);
    await eventually(() => cluster.replica(2).watermark === 5);
    const running = subscribe(2, 1, 100);
    const tail = cluster
      .connect(2)
      .subscribe(LogStreams.Read, ReadRequest.create({ topicId: 1, logStreamId: 1, fromGlsn: 1 }));
    tail.receive(() => {});
    const replica = cluster.replica(2);
    failSyncs(2);
    await append(1, 20);
    await eventually(() => cluster.reported(2) === 'failed');
    await append(1, 20);
    expect(replica.watermark).toBeLessThanOrEqual(replica.core.committedEnd);
    expect(await running).toMatchObject({ code: 'UNAVAILABLE' });
    await expect(tail.closed).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(await subscribe(2, 1, 46)).toEqual({ found: [], code: 'UNAVAILABLE' });
    expect(await subscribe(2, 1, 2)).toEqual({ found: [], code: 'UNAVAILABLE' });
    await expect(cluster.read(2, 1, 45)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    const refused = await cluster.appender(2).append('x');
    expect(refused.failure).toMatchObject({ code: 'UNAVAILABLE', outcome: 'notAppended' });
    const node = cluster.nodes.get(2)!;
    // It is opened again now and then, and fails again.
    await eventually(() => {
      const [{ state, failure } = {}] = node.status.replicas;
      return state === 'failed' && failure?.includes('EIO') === true;
    });
    await eventually(() => node.health?.includes('all 1 replicas of this') === true);
    await eventually(() => node.notReady().join().includes('log stream 1 is failed'));
    expect(await subscribe(3, 1, 46)).toEqual({ found: positions(45), code: 'OK' });
  });

  test('is rebuilt also when its files could not be put aside at first', async () => {
    await clusterOf([1, 2, 3]);
    await append(1, 5);
    const disk = cluster.disks.get(2)!;
    let refused = 0;
    disk.faults = {
      fail: ({ kind, path }) => {
        if (kind === 'rename' && path === 'storage/replicas/1') refused++;
        else if (kind !== 'sync' || !path.includes('records')) return undefined;
        return 'EIO';
      },
    };
    await append(1, 5);
    await eventually(() => refused > 0 && cluster.reported(2) === 'failed');
    disk.faults = {};
    await eventually(
      () => cluster.reported(2) === 'learning' && cluster.replica(2).core.end === 10,
    );
    expect(await disk.list('storage/trash')).toEqual([expect.stringMatching(UNFIT)]);
  }, 30_000);

  test('is rebuilt also where what is in the write-ahead log cannot be brought to its files', async () => {
    const writeAhead = { togetherMin: 1, fileBytes: 1024 };
    cluster = await TestCluster.withLogStreams([1, 2, 3], 1, { writeAhead });
    await append(1, 5);
    const disk = cluster.disks.get(2)!;
    await eventually(() => disk.files().some(({ path }) => path === 'storage/write-ahead/1'));
    disk.faults = {
      fail: ({ kind, path }) =>
        kind === 'sync' && path.startsWith('storage/replicas/1/records') ? 'EIO' : undefined,
    };
    const node = cluster.nodes.get(2)!;
    const hasFailed = (): boolean =>
      node.status.replicas.some(({ failure }) => failure?.includes('EIO') === true);
    // As many as begin the second file of the log, and do not fill it.
    await append(1, 5);
    await eventually(hasFailed);
    disk.faults = {};
    await eventually(
      () => cluster.reported(2) === 'learning' && cluster.replica(2).core.end === 10,
    );
    expect(await disk.list('storage/trash')).toEqual([expect.stringMatching(UNFIT)]);
  }, 30_000);

  test('is put aside again when it took part since it was rebuilt, also where it cannot be opened', async () => {
    await clusterOf([1, 2, 3]);
    await append(1, 5);
    failSyncs(2);
    await append(1, 5);
    await eventually(() => cluster.reported(2) === 'failed');
    const disk = cluster.disks.get(2)!;
    disk.faults = {};
    await eventually(() => cluster.reported(2) === 'learning');
    await cluster.reopen(1, [1, 2, 3]);
    await append(1, 20);
    await eventually(() => cluster.replica(2).core.durableEnd === 30);
    cluster.setReplicas([1, 3]);
    await eventually(() => cluster.metadata.storageNodes.get(2)!.removed.length === 0);
    const inTrash = await disk.list('storage/trash');
    expect(inTrash).toHaveLength(2);
    const taken = inTrash.find((it) => !it.endsWith('.unfit'))!;
    damage(2, `storage/trash/${taken}/records/`);
    // So that the others are open, and one of them is a good copy.
    cluster.setReplicas([1, 2, 3]);
    await cluster.reopen(1, [1, 3]);
    await eventually(
      () => cluster.reported(2) === 'learning' && cluster.replica(2).core.end === 30,
    );
    expect(await disk.list('storage/trash')).toEqual([
      expect.stringMatching(UNFIT),
      expect.stringMatching(UNFIT),
    ]);
  }, 30_000);

  test('is rebuilt from a good copy, and counts from the next epoch on', async () => {
    await clusterOf([1, 2, 3]);
    await append(1, 5);
    failSyncs(2);
    await append(1, 5);
    await eventually(() => cluster.reported(2) === 'failed');
    const node = cluster.nodes.get(2)!;
    const refusals = new Set<unknown>();
    /** Looks, at each step of its opening, what it tells those who ask for the replica. */
    const fail = (): undefined => {
      try {
        node.find(1, 1);
      } catch (error) {
        refusals.add((error as { code: unknown }).code);
      }
    };
    cluster.disks.get(2)!.faults = { fail };
    await eventually(() => node.status.replicas[0]?.state === 'rebuilding');
    // Not that it has none, which would have them look elsewhere for good.
    expect([...refusals]).toEqual(['UNAVAILABLE']);
    await eventually(() => cluster.reported(2) === 'learning');
    await append(1, 5);
    await eventually(() => cluster.replica(2).core.committedEnd === 15);
    // Not a member of the epoch that goes on: with another one down there is no majority.
    expect(cluster.state(2)).toBe('learning');
    await cluster.reopen(1, [2, 1, 3]);
    await append(2, 5);
    expect(await subscribe(2, 1, 21)).toEqual({ found: positions(20), code: 'OK' });
    const kept = await cluster.disks.get(2)!.list('storage/trash');
    expect(kept).toEqual([expect.stringMatching(UNFIT)]);
  });
});

describe('a replica with a damaged record in the middle', () => {
  test('found when it is opened: reported as damaged, and rebuilt', async () => {
    await clusterOf([1, 2, 3]);
    await append(1, 20);
    await eventually(() => cluster.replica(2).core.durableEnd === 20);
    await cluster.stopNode(2);
    damage(2);
    await cluster.startNode(2);
    await eventually(() => cluster.reported(2) === 'damaged');
    const early = await subscribe(2, 1, 21);
    // It may be rebuilt by now, when the machine is slow.
    const nothing = { found: [], code: 'UNAVAILABLE' };
    expect([nothing, { found: positions(20), code: 'OK' }]).toContainEqual(early);
    await eventually(() => cluster.reported(2) === 'learning');
    await cluster.reopen(1, [1, 2, 3]);
    expect(await subscribe(2, 1, 21)).toEqual({ found: positions(20), code: 'OK' });
  });

  test('found by a reader: who gets an error, and nothing wrong', async () => {
    await clusterOf([1, 2, 3]);
    await append(1, 20);
    await eventually(() => cluster.replica(2).core.durableEnd === 20);
    // Nothing of it is in memory any more.
    await cluster.stopNode(2);
    await cluster.startNode(2);
    await eventually(() => cluster.replica(2).watermark === 20);
    damage(2);
    const { found, code } = await subscribe(2, 1, 21);
    expect(found).toEqual([]);
    expect(['CORRUPT', 'UNAVAILABLE']).toContain(code);
    await eventually(() => cluster.reported(2) === 'learning');
    await cluster.reopen(1, [1, 2, 3]);
    expect(await subscribe(2, 1, 21)).toEqual({ found: positions(20), code: 'OK' });
  });

  test('is left alone while no other one is a good copy', async () => {
    await clusterOf([1, 2]);
    await append(1, 20);
    await eventually(() => cluster.replica(2).core.durableEnd === 20);
    for (const node of [1, 2]) await cluster.stopNode(node);
    damage(1);
    damage(2);
    await cluster.startNode(1);
    await cluster.startNode(2);
    await eventually(() => [1, 2].every((it) => cluster.reported(it) === 'damaged'));
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(await cluster.disks.get(2)!.list('storage/trash')).toEqual([]);
    expect(cluster.nodes.get(2)!.status.replicas[0]?.state).toBe('damaged');
  });

  test('is left alone while the other one that is up lacks records, and begins anew once a whole one is', async () => {
    await clusterOf([1, 2, 3]);
    await append(1, 5);
    await cluster.stopNode(3);
    await append(1, 15);
    for (const node of [1, 2]) await cluster.stopNode(node);
    damage(1);
    for (const node of [1, 3]) await cluster.startNode(node);
    await eventually(() => cluster.reported(1) === 'damaged' && cluster.replica(3).core.assigned);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const trash = () => cluster.disks.get(1)!.list('storage/trash');
    expect(await trash()).toEqual([]);
    await cluster.startNode(2);
    await eventually(() => cluster.reported(1) === 'learning');
    expect(await trash()).toEqual([expect.stringMatching(UNFIT)]);
  });
});

test('two of three replicas that were emptied get everything again from the third', async () => {
  await clusterOf([1, 2, 3]);
  await append(1, 20);
  await eventually(() => [2, 3].every((it) => cluster.replica(it).core.committedEnd === 20));
  for (const node of [2, 3]) {
    await cluster.stopNode(node);
    await cluster.disks.get(node)!.remove('storage/replicas/1');
    await cluster.startNode(node);
  }
  await eventually(() => [2, 3].every((it) => cluster.reported(it) === 'learning'));
  await cluster.reopen(1, [1, 2, 3]);
  expect(await subscribe(3, 1, 21)).toEqual({ found: positions(20), code: 'OK' });
  await append(1, 1);
});

describe('the only replica of a log stream', () => {
  test.each([
    ['its records', 'records/'],
    ['its commits, which the metadata repository has forgotten', 'commits/'],
    ['all its files', ''],
  ])('is damaged, and says so, when it lost %s', async (_, part) => {
    await clusterOf([1]);
    await append(1, 20);
    const { commits } = cluster.replica(1).storage;
    await commits.flush();
    await append(1, 1);
    await eventually(() => cluster.metadata.logStreams.get(1)!.history.firstVersion > 20);
    await cluster.stopNode(1);
    const disk = cluster.disks.get(1)!;
    const lost = disk.files().filter((it) => it.path.startsWith(`storage/replicas/1/${part}`));
    for (const it of lost) await disk.remove(it.path);
    const node = await cluster.startNode(1);
    cluster.apply({ kind: 'seal', id: 1, byOperator: false });
    await eventually(() => cluster.reported(1) === 'damaged' && cluster.state(1) === 'damaged');
    expect(node.notReady().join()).toContain(
      'log stream 1 is damaged: it lacks some of what it had, and has 0 of 21 records',
    );
    await expect(cluster.read(1, 1, 21)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  test('is whole again when it lost its commits, and the metadata repository has them', async () => {
    await clusterOf([1]);
    await append(1, 20);
    await cluster.stopNode(1);
    const disk = cluster.disks.get(1)!;
    const lost = disk.files().filter((it) => it.path.startsWith('storage/replicas/1/commits/'));
    for (const it of lost) await disk.remove(it.path);
    await cluster.startNode(1);
    await cluster.reopen(1, [1]);
    expect(await cluster.read(1, 1, 20)).toHaveLength(20);
  });
});
