import type { MetadataRepository } from '../log/metadata-repository/index.ts';
import type { StorageNode } from '../log/storage-node/index.ts';
import { type HttpApp, HttpStatus, textReply } from '../runtime/index.ts';
import { NodeMetrics } from './metrics.ts';

/** What a process runs. */
export interface NodeParts {
  readonly repository: MetadataRepository | undefined;
  readonly storageNode: StorageNode | undefined;
  /** Of a process that was given one. */
  readonly certificate?: { readonly endsAt: number } | undefined;
  /** Of a process that looks at its files again. */
  readonly credentials?: { readonly isRefused: boolean } | undefined;
}

/** How a node shows itself to operators. */
export interface NodeView {
  notReady(): string[];
  /** Adds /livez, /readyz and /metrics. */
  routes(app: HttpApp): void;
}

/** `others`: what else keeps the node from being ready. */
export function observe(parts: NodeParts, others: () => string[]): NodeView {
  const metrics = new NodeMetrics(parts);
  const notReady = (): string[] => [
    ...(parts.repository?.notReady() ?? []),
    ...(parts.storageNode?.notReady() ?? []),
    ...others(),
  ];
  return {
    notReady,
    routes: (app) => {
      app.get('/livez', () => {
        const dead = parts.storageNode?.health;
        return dead === undefined
          ? textReply(HttpStatus.ok, 'alive\n')
          : textReply(HttpStatus.serviceUnavailable, `${dead}\n`);
      });
      app.get('/readyz', () => {
        const reasons = notReady();
        if (reasons.length === 0) return textReply(HttpStatus.ok, 'ready\n');
        return textReply(HttpStatus.serviceUnavailable, `${reasons.join('\n')}\n`);
      });
      app.get('/metrics', async () =>
        textReply(HttpStatus.ok, await metrics.text(), { 'content-type': metrics.contentType }),
      );
    },
  };
}
