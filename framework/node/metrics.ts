import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { describeHealth, type MetadataRepository } from '../log/metadata-repository/index.ts';
import type { StorageNode } from '../log/storage-node/index.ts';
import { DurationMetric } from './duration-metric.ts';

type Labels = Record<string, string | number>;

/** Hears each value that a metric has now. Labels that it does not hear are gone. */
type SetValue = (value: number, labels?: Labels) => void;

/** Says what a metric is, and how its values are found when somebody asks. */
type Define = (name: string, help: string, collect: (set: SetValue) => void) => void;

/** The figures of a process, in the text format of Prometheus. */
export class NodeMetrics {
  private readonly registry = new Registry();

  constructor(parts: {
    repository: MetadataRepository | undefined;
    storageNode: StorageNode | undefined;
    certificate?: { readonly endsAt: number } | undefined;
    credentials?: { readonly isRefused: boolean } | undefined;
  }) {
    // By default its histogram of the event loop's delay wakes the process a hundred times a second.
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: 2_000 });
    const { repository, storageNode, certificate, credentials } = parts;
    if (certificate !== undefined) {
      const help = 'When the TLS certificate of this node ends, in seconds since 1970';
      this.define('tls_certificate_ends_seconds', help, (set) => set(certificate.endsAt));
    }
    if (credentials !== undefined) {
      const help = '1 while changed files of certificates or access tokens cannot be used';
      this.define('credentials_refused', help, (set) => set(Number(credentials.isRefused)));
    }
    if (repository !== undefined) {
      defineMember((...it) => this.define(...it), repository);
      defineCluster((...it) => this.define(...it), repository);
    }
    if (storageNode !== undefined) defineStorage((...it) => this.define(...it), storageNode);
    const stations = () => [
      ...(storageNode?.stations.all ?? []),
      ...(repository?.stations.all ?? []),
    ];
    const syncs = () => [
      ...(storageNode === undefined ? [] : [['storage', storageNode.syncs] as const]),
      ...(repository === undefined ? [] : [['raft', repository.metrics.syncs] as const]),
    ];
    this.registry.registerMetric(
      new DurationMetric(STATIONS, () => stations().map((it) => [it.station, it] as const)),
    );
    this.registry.registerMetric(new DurationMetric(SYNCS, syncs));
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  text(): Promise<string> {
    return this.registry.metrics();
  }

  private define(name: string, help: string, collect: (set: SetValue) => void): void {
    const metric: Gauge = new Gauge({
      name: `varlog_${name}`,
      help,
      labelNames: LABELS,
      registers: [this.registry],
      collect: () => {
        metric.reset();
        collect((value, labels = {}) => metric.set(labels, value));
      },
    });
  }
}

const STATIONS = {
  name: 'varlog_append_station_seconds',
  help: 'Time of appends at the stations of this node, by the oldest of each commit, or by cut',
  label: 'station',
};
const SYNCS = {
  name: 'varlog_disk_sync_seconds',
  help: 'Time until the disk had made something durable, by the role that waited',
  label: 'role',
};
const LABELS = ['topic', 'log_stream', 'state', 'trouble', 'code', 'member', 'node'];

/** The member of the metadata repository that this process is. */
function defineMember(define: Define, repository: MetadataRepository): void {
  define('raft_is_leader', 'Whether this member leads', (set) =>
    set(Number(repository.status.role === 'leader')),
  );
  define('raft_term', 'Raft term', (set) => set(repository.status.term));
  define('raft_commit_index', 'Raft commit index', (set) => set(repository.status.commit));
  define('raft_applied_index', 'Raft applied index', (set) => set(repository.status.applied));
  define('raft_apply_lag', 'Committed entries that were not applied yet', (set) => {
    const { commit, applied } = repository.status;
    set(Math.max(0, commit - applied));
  });
  define('raft_resigned', 'Whether it does not lead any more until it is started again', (set) =>
    set(Number(repository.status.resigned !== undefined)),
  );
  define(
    'raft_members',
    'Members of the group by what they do, as far as this one knows',
    (set) => {
      const { voters, learners } = repository.status;
      set(voters.length, { state: 'voter' });
      set(learners.length, { state: 'learner' });
    },
  );
  define('raft_members_changing', 'Whether a change of the members is under way', (set) =>
    set(Number(repository.status.changing || repository.memberChanges.underWay !== undefined)),
  );
  define('raft_member_lag', 'At the leader: entries that another member lacks', (set) => {
    const { last } = repository.status;
    for (const { id, match } of repository.metrics.members) set(last - match, { member: id });
  });
  define('raft_removed', 'Whether it was removed from its group', (set) =>
    set(Number(repository.status.removed)),
  );
  define(
    'raft_disk_trouble',
    'Its disk is full, or too many files are open, or it does not get on, as a label',
    (set) => {
      const { diskTrouble: trouble } = repository.metrics;
      if (trouble !== undefined) set(1, { trouble });
    },
  );
  define('raft_unsynced_bytes', 'Written, and not on disk yet', (set) =>
    set(repository.metrics.unsyncedBytes),
  );
  define('raft_queued_bytes', 'Changes that wait to be proposed', (set) =>
    set(repository.metrics.queuedBytes),
  );
  define('raft_campaigns', 'Elections that it stood for', (set) =>
    set(repository.metrics.campaigns),
  );
  define('raft_leader_changes', 'How often another leader was found than the one before', (set) =>
    set(repository.metrics.leaderChanges),
  );
  define('raft_snapshot_index', 'What its newest snapshot stands for', (set) =>
    set(repository.metrics.snapshotIndex),
  );
  define('raft_snapshot_bytes', 'Bytes of the state in its newest snapshot', (set) =>
    set(repository.metrics.snapshotBytes),
  );
  define('raft_snapshots_installed', 'Snapshots of others that replaced its log', (set) =>
    set(repository.metrics.snapshotsInstalled),
  );
  define('raft_compactions_failed', 'Snapshots of its own that could not be kept', (set) =>
    set(repository.metrics.compactionsFailed),
  );
  define('metadata_failed', 'It ended until it is started again; why, as a label', (set) => {
    const { failure } = repository;
    if (failure !== undefined) set(1, { code: failure.code });
  });
}

/** What only the leader knows of the cluster: other members have no values for these. */
function defineCluster(define: Define, repository: MetadataRepository): void {
  const known = () => {
    const { orderer, metadata } = repository;
    return orderer && describeHealth(metadata, orderer);
  };
  define('storage_nodes', 'Storage nodes by whether the leader hears from them', (set) => {
    const nodes = known()?.storageNodes;
    if (nodes === undefined) return;
    const connected = nodes.filter((it) => it.connected).length;
    set(connected, { state: 'connected' });
    set(nodes.length - connected, { state: 'lost' });
  });
  define('storage_node_bytes', 'Bytes that replicas have on a storage node, as it said', (set) => {
    const sums = new Map<number, number>();
    for (const { storageNodeId: node, bytes } of known()?.logStreams.flatMap((it) => it.replicas) ??
      [])
      if (bytes !== null) sums.set(node, (sums.get(node) ?? 0) + bytes);
    for (const [node, sum] of sums) set(sum, { node });
  });
  define('drain_replicas', 'Replicas that drained storage nodes still have', (set) => {
    const { storageNodes = [], logStreams = [] } = known() ?? {};
    for (const { storageNodeId: node, draining } of storageNodes) {
      const has = logStreams.filter((it) => it.replicas.some((r) => r.storageNodeId === node));
      if (draining) set(has.length, { node });
    }
  });
  define('log_streams', 'Log streams by state', (set) => {
    const streams = known()?.logStreams;
    if (streams === undefined) return;
    const byOperator = streams.filter((it) => it.sealedByOperator).length;
    const open = streams.filter((it) => !it.sealed).length;
    set(open, { state: 'open' });
    set(byOperator, { state: 'sealed_by_operator' });
    set(streams.length - open - byOperator, { state: 'sealed' });
  });
  const copies = () =>
    known()?.logStreams.map(({ sealed, replicas, replicationFactor }) => ({
      placed: replicationFactor,
      inSync: replicas.filter((it) => it.member && it.state === (sealed ? 'sealed' : 'open'))
        .length,
    }));
  const total = (values: number[] | undefined, set: SetValue): void => {
    if (values !== undefined) set(values.reduce((sum, it) => sum + it, 0));
  };
  define('replicas_placed', 'Replicas that there should be', (set) =>
    total(
      copies()?.map((it) => it.placed),
      set,
    ),
  );
  define('replicas_in_sync', 'Replicas that count for acknowledgements', (set) =>
    total(
      copies()?.map((it) => it.inSync),
      set,
    ),
  );
  define(
    'log_streams_under_replicated',
    'Log streams with fewer in sync than there should be',
    (set) =>
      total(
        copies()?.map((it) => Number(it.inSync < it.placed)),
        set,
      ),
  );
}

/** The storage node that this process is. */
function defineStorage(define: Define, node: StorageNode): void {
  type ReplicaStatus = StorageNode['status']['replicas'][number];
  const each = (
    name: string,
    help: string,
    value: (replica: ReplicaStatus) => number,
    labels: (replica: ReplicaStatus) => Labels = () => ({}),
  ): void =>
    define(name, help, (set) => {
      for (const it of node.status.replicas) {
        set(value(it), { topic: it.topicId, log_stream: it.logStreamId, ...labels(it) });
      }
    });
  each('replica_end_llsn', 'LLSN of the last record written', (it) => it.end);
  each('replica_durable_end_llsn', 'LLSN of the last record on disk', (it) => it.durableEnd);
  each('replica_committed_llsn', 'LLSN of the last record committed', (it) => it.committed);
  each('replica_target_llsn', 'LLSN that it is to get to, as far as is known', (it) => it.target);
  each('replica_bytes', 'Bytes of its records and commits on the disk', (it) => it.bytes);
  const state = ({ state }: ReplicaStatus): Labels => ({ state });
  each('replica_state', 'State of the replica, as a label', () => 1, state);
  each('replica_disk_full', 'Whether there is no room for appends', (it) => Number(it.full));
  each('replica_epoch', 'Configuration of the log stream', (it) => it.epoch);
  each('replica_unassigned', 'Whether the metadata repository has not said what it is for', (it) =>
    Number(!it.assigned),
  );
  define(
    'disk_slowest_write_seconds',
    'The longest that a write or sync took in the last half minute',
    (set) => set(node.status.slowestWriteMs / 1_000),
  );
  define('trash_replicas', 'Replicas that were taken away or put aside, and are kept', (set) =>
    set(node.status.trashed),
  );
  define('connected', 'Whether the leader of the metadata repository accepted this node', (set) =>
    set(Number(node.status.connected)),
  );
  define('refused', 'It is not taken for the node that it says it is; why, as a label', (set) => {
    const { refusal } = node.status;
    if (refusal !== undefined) set(1, { code: refusal.code });
  });
}
