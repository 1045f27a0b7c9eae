import { GrpcNetwork } from '../runtime/index.ts';
import { ClusterManager, SealRequest } from '../wire/gen/admpb.ts';
import { closeAll, closers, eventually, Observed } from './observed.fixture.ts';

afterEach(closeAll);

describe('a node shows', () => {
  test('the whole cluster, where it leads', async () => {
    const it = await Observed.start();
    const varlog = await it.connect();
    const topic = await varlog.createTopic({ logStreams: 2 });
    await topic.append('x');
    await eventually(async () => {
      expect(await it.page('/readyz')).toEqual({ status: 200, text: 'ready\n' });
      expect(await it.metric('storage_nodes')).toEqual([
        'varlog_storage_nodes{state="connected"} 1',
        'varlog_storage_nodes{state="lost"} 0',
      ]);
      expect(await it.metric('log_streams')).toContain('varlog_log_streams{state="open"} 2');
      expect(await it.metric('replicas_placed')).toEqual(['varlog_replicas_placed 2']);
      expect(await it.metric('replicas_in_sync')).toEqual(['varlog_replicas_in_sync 2']);
      const under = 'log_streams_under_replicated';
      expect(await it.metric(under)).toEqual([`varlog_${under} 0`]);
      const [bytes, ...others] = await it.metric('storage_node_bytes');
      expect([bytes, others]).toEqual([
        expect.stringMatching(/^varlog_storage_node_bytes\{node="1"\} \d+$/),
        [],
      ]);
    });
    const ofReplicas = await it.metric('replica_bytes');
    expect(ofReplicas).toEqual([
      expect.stringMatching(/^varlog_replica_bytes\{topic="1",log_stream="\d+"\} \d+$/),
      expect.stringMatching(/^varlog_replica_bytes\{topic="1",log_stream="\d+"\} \d+$/),
    ]);
    // The record is on one of them.
    expect(ofReplicas.some((line) => Number(line.split(' ')[1]) > 0)).toBe(true);
    await varlog.drainStorageNode(1);
    expect(await it.metric('drain_replicas')).toEqual(['varlog_drain_replicas{node="1"} 2']);
    await varlog.undrainStorageNode(1);
    for (const name of ['resigned', 'removed', 'snapshots_installed', 'compactions_failed']) {
      expect(await it.metric(`raft_${name}`)).toEqual([`varlog_raft_${name} 0`]);
    }
    for (const name of ['unsynced_bytes', 'apply_lag', 'snapshot_index', 'snapshot_bytes']) {
      expect(await it.metric(`raft_${name}`)).toHaveLength(1);
    }
    expect(await it.metric('raft_disk_trouble')).toEqual([]);
    expect(await it.metric('refused')).toEqual([]);
    expect(await it.metric('metadata_failed')).toEqual([]);
    const channel = new GrpcNetwork().connect(it.address);
    closers.push(async () => channel.close());
    const request = SealRequest.create({ topicId: 1, logStreamId: 2 });
    await channel.call(ClusterManager.Seal, request, { timeoutMs: 10_000 });
    expect(await it.metric('log_streams')).toContain(
      'varlog_log_streams{state="sealed_by_operator"} 1',
    );
  }, 30_000);

  test('where appends wait', async () => {
    const it = await Observed.start();
    const topic = await (await it.connect()).createTopic();
    for (let i = 0; i < 5; i++) await topic.append('x');
    const name = 'append_station_seconds';
    const counts = async (suffix: string) => it.metric(`${name}_${suffix}`);
    for (const station of ['primary_queue', 'disk', 'replicas', 'repository_wire', 'cut', 'raft']) {
      const labels = `station="${station}"`;
      expect(await counts('count')).toContain(`varlog_${name}_count{${labels}} 5`);
      expect(await counts('sum')).toContainEqual(expect.stringContaining(labels));
      const buckets = (await counts('bucket')).filter((line) => line.includes(labels));
      const values = buckets.map((line) => Number(line.split(' ')[1]));
      expect(values).toEqual([...values].sort((a, b) => a - b));
      expect(buckets.at(-1)).toContain('le="+Inf"');
      expect(values.at(-1)).toBe(5);
    }
    const { text } = await it.page('/metrics');
    expect(text).toContain(`# TYPE varlog_${name} histogram`);
  }, 30_000);

  test('how long the disks take', async () => {
    const it = await Observed.start();
    const topic = await (await it.connect()).createTopic();
    const roles = ['storage', 'raft'];
    const syncs = async (): Promise<number[]> => {
      const lines = await it.metric('disk_sync_seconds_count');
      return roles.map((role) => {
        const name = `varlog_disk_sync_seconds_count{role="${role}"} `;
        return Number(lines.find((line) => line.startsWith(name))?.slice(name.length));
      });
    };
    const before = await syncs();
    await topic.append('x');
    const after = await syncs();
    for (const [i, count] of before.entries()) expect(after[i]).toBeGreaterThan(count);
    const buckets = await it.metric('disk_sync_seconds_bucket');
    for (const role of roles) {
      const all = new RegExp(`^varlog_disk_sync_seconds_bucket{role="${role}",le="\\+Inf"} \\d+$`);
      expect(buckets).toContainEqual(expect.stringMatching(all));
    }
  }, 30_000);

  test('a replica whose disk fails', async () => {
    const it = await Observed.start();
    const topic = await (await it.connect()).createTopic();
    await topic.append('x');
    it.fails('/records/', 'EIO');
    await topic.append('y', { timeoutMs: 300 }).catch(() => {});
    await eventually(async () => {
      const { status, text } = await it.page('/readyz');
      expect({ status, text }).toMatchObject({ status: 503, text: expect.stringMatching('EIO') });
      expect(text).toMatch(/the replica of log stream 1 is failed/);
      expect(await it.metric('replica_state')).toEqual([
        'varlog_replica_state{topic="1",log_stream="1",state="failed"} 1',
      ]);
      expect(await it.metric('replicas_in_sync')).toEqual(['varlog_replicas_in_sync 0']);
      const under = 'log_streams_under_replicated';
      expect(await it.metric(under)).toEqual([`varlog_${under} 1`]);
    });
  }, 30_000);

  test('a full disk of its member of the metadata repository', async () => {
    const it = await Observed.start();
    const varlog = await it.connect();
    it.fails('metadata-1', 'ENOSPC');
    await varlog.createTopic({ timeoutMs: 300 }).catch(() => {});
    await eventually(async () => {
      expect(await it.metric('raft_disk_trouble')).toEqual([
        'varlog_raft_disk_trouble{trouble="full"} 1',
      ]);
      const { status, text } = await it.page('/readyz');
      expect({ status, text }).toMatchObject({ status: 503, text: expect.stringMatching('full') });
    });
    it.disk.faults = {};
    await eventually(async () => {
      expect(await it.metric('raft_disk_trouble')).toEqual([]);
      expect((await it.page('/readyz')).status).toBe(200);
    });
  }, 60_000);

  test('a member of the metadata repository that ended', async () => {
    const it = await Observed.start();
    const varlog = await it.connect();
    it.fails('metadata-1', 'EIO');
    await varlog.createTopic({ timeoutMs: 300 }).catch(() => {});
    await eventually(async () => {
      const failed = 'varlog_metadata_failed{code="DISK_FAILED"} 1';
      expect(await it.metric('metadata_failed')).toEqual([failed]);
      expect((await it.page('/readyz')).text).toMatch('DISK_FAILED');
      // Whoever does not lead knows nothing of the cluster.
      expect(await it.metric('replicas_placed')).toEqual([]);
    });
  }, 30_000);

  test('that it waits to be added, that it is a member, and that it was removed', async () => {
    const original = await Observed.start();
    const varlog = await original.connect();
    const members = `1=${original.address}`;
    const joins = await Observed.start({ nodeId: '2', roles: 'metadata', join: 'true', members });
    const waits = await joins.page('/readyz');
    expect(waits).toMatchObject({
      status: 503,
      text: expect.stringMatching('varlog member add 2='),
    });
    await varlog.members.add({ id: 2, address: joins.address });
    await eventually(async () => {
      expect((await joins.page('/readyz')).text).toBe('ready\n');
      for (const it of [original, joins]) {
        expect(await it.metric('raft_members')).toEqual([
          'varlog_raft_members{state="voter"} 2',
          'varlog_raft_members{state="learner"} 0',
        ]);
        expect(await it.metric('raft_members_changing')).toEqual([
          'varlog_raft_members_changing 0',
        ]);
      }
      expect(await original.metric('raft_member_lag')).toEqual([
        'varlog_raft_member_lag{member="2"} 0',
      ]);
    });
    await varlog.members.remove(2);
    await eventually(async () => {
      expect((await joins.page('/readyz')).text).toMatch('MEMBER_REMOVED');
      expect(await joins.metric('raft_removed')).toEqual(['varlog_raft_removed 1']);
      expect(await joins.metric('metadata_failed')).toEqual([
        'varlog_metadata_failed{code="MEMBER_REMOVED"} 1',
      ]);
    });
    expect(await varlog.members.list()).toHaveLength(1);
  }, 60_000);

  test.each(['metadata-1', 'storage-1'])(
    'that its folder %s was taken away',
    async (folder) => {
      const it = await Observed.start();
      await it.connect();
      // It has heard which cluster it is part of, and written that down.
      await eventually(async () => expect((await it.page('/readyz')).status).toBe(200));
      await it.disk.rename(folder, 'elsewhere');
      await eventually(async () => {
        const { status, text } = await it.page('/readyz');
        expect({ status, text }).toMatchObject({
          status: 503,
          text: expect.stringMatching(`taken away.*${folder}`),
        });
      });
      await it.disk.rename('elsewhere', folder);
      // Nobody knows whether it is the same one.
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      expect((await it.page('/readyz')).text).toMatch('start this node again');
    },
    30_000,
  );

  test('that it is not taken for the storage node that it says it is', async () => {
    const original = await Observed.start();
    await original.connect();
    const stranger = await Observed.start({
      roles: 'storage',
      members: `1=${original.address}`,
    });
    await eventually(async () => {
      expect(await stranger.metric('refused')).toEqual(['varlog_refused{code="DISK_UNKNOWN"} 1']);
      expect(await stranger.metric('connected')).toEqual(['varlog_connected 0']);
      expect((await stranger.page('/readyz')).text).toMatch(
        /storage node 1 is up with its own disk, at .*--members and --advertise.*varlog node replace/,
      );
    });
  }, 30_000);
});
