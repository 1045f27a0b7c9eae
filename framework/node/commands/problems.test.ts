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

test('a storage node whose disk is another one, and one at whose address another cluster is', async () => {
  const it = await Observed.start();
  const varlog = await it.connect();
  const [listen] = await freeAddresses(1);
  const storage = { listen: listen!, nodeId: '2', roles: 'storage', members: `1=${it.address}` };
  const first = await Observed.start(storage);
  await varlog.ready({ storageNodes: 2 });
  await first.node.close();
  const emptied = await Observed.start(storage);
  await eventually(async () => {
    expect(await problems(varlog)).toMatch(
      /^storage node 2 at \S+: refused: DISK_UNKNOWN.*"varlog node replace 2 --disk/m,
    );
  });
  await emptied.node.close();
  await Observed.start({ listen: listen!, nodeId: '2', members: `2=${listen}` });
  await eventually(async () => {
    expect(await problems(varlog)).toMatch(
      /^storage node 2 at \S+: down, and something else answers .*CLUSTER_MISMATCH/m,
    );
  });
}, 60_000);

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

/** What is said of a sealed log stream with replicas in these states, each with so many of its nine records. */
function ofSealed(states: readonly (readonly [state: string, end: number])[]): string {
  const replicas = states.map(([state, end], i) => {
    return { node: i + 1, member: true, state, end, target: 9, behind: 9 - end, full: false };
  });
  const common = { sealedByOperator: false, epoch: 1, inSync: 0, replicationFactor: 3 };
  const logStreams = [{ id: 1, state: 'sealed' as const, replicas, ...common }];
  const topics = [{ id: 1, logStreams, retention: {} }];
  const storageNodes = replicas.map(({ node: id, state }) => {
    const counts = { replicas: 1, primaries: 0, waits: [] };
    return { id, address: `n${id}:1`, disk: '', alive: state !== 'unreachable', ...counts };
  });
  const cluster = { cluster: 'c', clusterId: 1, featureLevel: 3, members: [] };
  return problemsOf({ ...cluster, storageNodes, topics })
    .map(sentenceOf)
    .join('\n');
}

test('a log stream of which every copy is damaged does not come back by itself', () => {
  const damaged = ['damaged', 0] as const;
  expect(ofSealed([damaged, damaged, damaged])).toMatch(/^log stream 1: .*records are lost/);
  const perhaps = ofSealed([damaged, ['unreachable', 0], damaged]);
  expect(perhaps).not.toMatch(/records are lost/);
  expect(perhaps).toMatch(/^log stream 1: .*none of its copies is up: start storage node 2 with/m);
});

test('the last copy of records is not to be given up, and the others are not said to be copied', () => {
  const said = ofSealed([
    ['unreachable', 9],
    ['sealing', 5],
    ['sealing', 6],
  ]);
  expect(said).toMatch(/^storage node 1 at n1:1: down: start it with its folder, .*log stream 1$/m);
  expect(said).toMatch(/^log stream 1: .*has its last 3 records: start storage node 1 with the/m);
  expect(said).toMatch(/^log stream 1 on storage node 2: has 5 of 9 records, and no other copy/m);
  expect(said).not.toMatch(/node replace|being copied/);
  const known = ofSealed([
    ['unreachable', 9],
    ['sealing', 5],
    ['sealed', 9],
  ]);
  expect(known).toMatch(/^storage node 1 .*varlog node replace 1/m);
  expect(known).toMatch(/^log stream 1 on storage node 2: being copied from another replica/m);
  // A leader of just now has heard of nobody yet.
  expect(
    ofSealed([
      ['unknown', 0],
      ['unknown', 0],
    ]),
  ).not.toMatch(/only whole copy|has its last/);
});

test('a storage node that has the only copy is given up by force alone', async () => {
  const it = await Observed.start({ roles: 'metadata' });
  const flags = { roles: 'storage', nodeId: '2', members: `1=${it.address}` };
  const two = await Observed.start(flags);
  const varlog = await it.connect();
  await (await varlog.createTopic()).append('x');
  await two.node.close();
  await eventually(async () => {
    expect(await problems(varlog)).toMatch(/^storage node 2 .*start it with its folder/);
  });
  await expect(varlog.replaceStorageNode(2)).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
    message: expect.stringMatching(/only whole copy of log stream 1 .*force it/),
    outcome: 'notAppended',
  });
  await varlog.replaceStorageNode(2, { force: true });
}, 30_000);

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
