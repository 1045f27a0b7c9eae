import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { MetadataRepository } from '../log/metadata-repository/index.ts';
import type { StorageNode } from '../log/storage-node/index.ts';
import type { HttpReply } from '../runtime/index.ts';

/** What a process runs. */
export interface NodeParts {
  readonly repository: MetadataRepository | undefined;
  readonly storageNode: StorageNode | undefined;
}

/** How a node shows itself to operators. */
export interface NodeView {
  notReady(): string[];
  /** Answers /livez, /readyz and /metrics. */
  answer(path: string): Promise<HttpReply | undefined>;
}

export function observe(parts: NodeParts): NodeView {
  const registry = metricsOf(parts);
  const notReady = (): string[] => [
    ...(parts.repository?.notReady() ?? []),
    ...(parts.storageNode?.notReady() ?? []),
  ];
  const text = (status: number, body: string): HttpReply => ({
    status,
    contentType: 'text/plain; charset=utf-8',
    body: `${body}\n`,
  });
  return {
    notReady,
    answer: async (path) => {
      if (path === '/livez') {
        const dead = parts.storageNode?.health;
        return dead === undefined ? text(200, 'alive') : text(503, dead);
      }
      if (path === '/readyz') {
        const reasons = notReady();
        return reasons.length === 0 ? text(200, 'ready') : text(503, reasons.join('\n'));
      }
      if (path !== '/metrics') return undefined;
      return { status: 200, contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}

function metricsOf({ repository, storageNode }: NodeParts): Registry {
  const registry = new Registry();
  // By default its histogram of the event loop's delay wakes the process a hundred times a second.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 500 });
  const gauge = (
    name: string,
    help: string,
    labelNames: string[],
    collect: (set: (labels: Record<string, string | number>, value: number) => void) => void,
  ): void => {
    const metric: Gauge = new Gauge({
      name: `varlog_${name}`,
      help,
      labelNames,
      registers: [registry],
      collect: () => {
        metric.reset();
        collect((labels, value) => metric.set(labels, value));
      },
    });
  };
  if (repository !== undefined) {
    gauge('raft_is_leader', 'Whether this member leads', [], (set) =>
      set({}, repository.status.role === 'leader' ? 1 : 0),
    );
    gauge('raft_term', 'Raft term', [], (set) => set({}, repository.status.term));
    gauge('raft_commit_index', 'Raft commit index', [], (set) => set({}, repository.status.commit));
    gauge('raft_applied_index', 'Raft applied index', [], (set) =>
      set({}, repository.status.applied),
    );
  }
  if (storageNode !== undefined) {
    const labels = ['topic', 'log_stream'];
    const each = (
      name: string,
      help: string,
      value: (replica: StorageNode['status']['replicas'][number]) => number,
    ): void =>
      gauge(name, help, labels, (set) => {
        for (const replica of storageNode.status.replicas) {
          set({ topic: replica.topicId, log_stream: replica.logStreamId }, value(replica));
        }
      });
    each('replica_end_llsn', 'LLSN of the last record written', (it) => it.end);
    each('replica_durable_end_llsn', 'LLSN of the last record on disk', (it) => it.durableEnd);
    each('replica_committed_llsn', 'LLSN of the last record committed', (it) => it.committed);
    gauge('replica_state', 'State of the replica, as a label', [...labels, 'state'], (set) => {
      for (const { topicId, logStreamId, state } of storageNode.status.replicas) {
        set({ topic: topicId, log_stream: logStreamId, state }, 1);
      }
    });
    gauge(
      'disk_slowest_write_seconds',
      'The longest that a write or sync took in the last half minute',
      [],
      (set) => set({}, storageNode.status.slowestWriteMs / 1_000),
    );
    each('replica_disk_full', 'Whether there is no room for appends', (it) => Number(it.full));
    gauge('trash_replicas', 'Replicas that were taken away or put aside, and are kept', [], (set) =>
      set({}, storageNode.status.trashed),
    );
    each('replica_epoch', 'Configuration of the log stream', (it) => it.epoch);
  }
  return registry;
}
