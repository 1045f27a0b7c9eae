import type { MetadataRepository } from '../log/metadata-repository/index.ts';
import type { StorageNode } from '../log/storage-node/index.ts';
import type { HttpReply } from '../runtime/index.ts';
import { NodeMetrics } from './metrics.ts';

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

/** `others`: what else keeps the node from being ready. */
export function observe(parts: NodeParts, others: () => string[]): NodeView {
  const metrics = new NodeMetrics(parts);
  const notReady = (): string[] => [
    ...(parts.repository?.notReady() ?? []),
    ...(parts.storageNode?.notReady() ?? []),
    ...others(),
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
      return { status: 200, contentType: metrics.contentType, body: await metrics.text() };
    },
  };
}
