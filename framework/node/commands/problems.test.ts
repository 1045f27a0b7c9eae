import type { MemberStatus, Varlog } from '../../log/index.ts';
import { freeAddresses } from '../../testing/index.ts';
import { closeAll, eventually, Observed } from '../observed.fixture.ts';
import { problemsOf, sentenceOf, sentencesOf } from './problems.ts';

afterEach(closeAll);

async function problems(varlog: Varlog): Promise<string> {
  return problemsOf(await varlog.status())
    .map(sentenceOf)
    .join('\n');
}

test('of a cluster that is well there is nothing to say', async () => {
  const varlog = await (await Observed.start()).connect();
  await (await varlog.createTopic()).append('x');
  await eventually(async () => expect(await problems(varlog)).toBe(''));
  const { storageNodes } = await varlog.status();
  expect(storageNodes[0]!.slowestWriteMs).toBeGreaterThanOrEqual(0);
  await eventually(async () => {
    const { members, featureLevel } = await varlog.status();
    // The leader raises it to what the only member knows.
    const [{ supportedLevel } = {}] = members;
    expect([featureLevel, featureLevel >= 3]).toEqual([supportedLevel, true]);
  });
}, 30_000);

test('a replica that failed: why, and how far it was', async () => {
  const it = await Observed.start();
  const varlog = await it.connect();
  const topic = await varlog.createTopic();
  await topic.append('x');
  it.fails('/records/', 'EIO');
  await topic.append('y', { timeoutMs: 300 }).catch(() => {});
  await eventually(async () => {
    const { topics } = await varlog.status();
    expect(topics[0]!.logStreams[0]!.replicas[0]).toMatchObject({
      state: 'failed',
      failure: expect.stringContaining('EIO'),
    });
    expect(await problems(varlog)).toMatch(/log stream 1 on storage node 1: failed.*EIO/);
  });
}, 30_000);

test('a disk that is full', async () => {
  const it = await Observed.start();
  const varlog = await it.connect();
  const topic = await varlog.createTopic();
  await topic.append('x');
  it.fails('/records/', 'ENOSPC');
  await topic.append('y', { timeoutMs: 300 }).catch(() => {});
  await eventually(async () => {
    expect(await problems(varlog)).toMatch('log stream 1 on storage node 1: its disk is full');
  });
}, 30_000);

test('a disk of the metadata repository that is full', async () => {
  const it = await Observed.start();
  const varlog = await it.connect();
  it.fails('metadata-1', 'ENOSPC');
  await varlog.createTopic({ timeoutMs: 300 }).catch(() => {});
  await eventually(async () => {
    expect(await problems(varlog)).toMatch(/metadata repository member 1 at .*: .* is full/);
  });
}, 30_000);

test('a disk that is slow', async () => {
  const it = await Observed.start();
  const varlog = await it.connect();
  const topic = await varlog.createTopic();
  await topic.append('x');
  it.slows('/records/', 2_000);
  await topic.append('y', { timeoutMs: 300 }).catch(() => {});
  await eventually(async () => {
    expect(await problems(varlog)).toMatch(/storage node 1 at .*: its disk took .* s for a write/);
  });
}, 30_000);

test('a storage node that is linked to the leader, at an address where nobody reaches it', async () => {
  const it = await Observed.start();
  const varlog = await it.connect();
  const [nowhere] = await freeAddresses(1);
  const members = `1=${it.address}`;
  await Observed.start({ roles: 'storage', nodeId: '2', members, advertise: nowhere! });
  await varlog.ready({ storageNodes: 2 });
  expect(await problems(varlog)).toMatch(
    /^storage node 2 at .*: linked to the leader, and did not answer here \(UNREACHABLE.*--advertise$/,
  );
}, 30_000);

test('members that only learn, lost their disks, or are being changed', () => {
  const of = (more: Partial<MemberStatus>): MemberStatus => {
    return { id: 4, address: 'd:1', votes: true, state: 'up', ...more };
  };
  const said = (...members: MemberStatus[]): string[] => {
    const cluster = { cluster: 'c', clusterId: 1, featureLevel: 3, storageNodes: [], topics: [] };
    return problemsOf({ ...cluster, members }).map(sentenceOf);
  };
  expect(said(of({}))).toEqual([]);
  expect(said(of({ votes: false }))).toEqual([expect.stringMatching('varlog member add 4=d:1')]);
  expect(said(of({ state: 'DISK_LOST', trouble: 'emptied' }))).toEqual([
    expect.stringMatching(/varlog member replace 4 .*/),
  ]);
  // Nothing is lost there: to replace it would take a member away from the cluster.
  for (const state of ['CLUSTER_MISMATCH', 'IDENTITY_MISMATCH']) {
    expect(said(of({ state, trouble: 'another one listens there' }))).toEqual([
      expect.stringMatching(/not this member: another one listens there$/),
    ]);
  }
  const leader = of({ id: 1, change: 'adding member 4: it has 3 of 9 entries' });
  expect(said(leader, of({ votes: false }))).toEqual([expect.stringMatching('it has 3 of 9')]);
});

test('a log stream of which every copy is damaged does not come back by itself', () => {
  const said = (states: readonly string[]): string => {
    const replicas = states.map((state, i) => {
      return { node: i + 1, member: true, state, end: 0, target: 9, behind: 9, full: false };
    });
    const common = { sealedByOperator: false, epoch: 1, inSync: 0, replicationFactor: 3 };
    const logStreams = [{ id: 1, state: 'sealed' as const, replicas, ...common }];
    const topics = [{ id: 1, logStreams, retention: {} }];
    const cluster = { cluster: 'c', clusterId: 1, featureLevel: 3, storageNodes: [], members: [] };
    return problemsOf({ ...cluster, topics })
      .map(sentenceOf)
      .join('\n');
  };
  expect(said(['damaged', 'damaged', 'damaged'])).toMatch(/^log stream 1: .*records are lost/);
  expect(said(['damaged', 'unreachable', 'damaged'])).not.toMatch(/records are lost/);
});

test('what many log streams have alike is said once, and everything else one by one', () => {
  const of = (logStream: number, node: number, what: string) => ({
    subject: `log stream ${logStream} on storage node ${node}`,
    what,
    logStream,
  });
  const sealed = Array.from({ length: 700 }, (_, i) => of(i + 1, 3, 'sealed'));
  const few = [1, 2, 3, 4, 5].map((it) => of(it, 2, 'sealed'));
  const other = { subject: 'storage node 3', what: 'down' };
  expect(sentencesOf([...sealed, other, ...few, of(9, 3, 'damaged')])).toEqual([
    'log streams 1, 2, 3, 4, 5 and 695 more on storage node 3: sealed',
    'storage node 3: down',
    ...few.map(sentenceOf),
    'log stream 9 on storage node 3: damaged',
  ]);
});
