/**
 * A cluster in containers, for tests against the real thing. Needs `testcontainers` and a container engine;
 * nothing else in `varlog/testing` does.
 *
 * ```ts
 * import { VarlogCluster } from 'varlog/testing/containers';
 *
 * await using cluster = await VarlogCluster.start({ image: 'varlog' });
 * await using varlog = await cluster.connect();
 * ```
 *
 * It does not build the image: `infra/Dockerfile` does.
 */
export { VarlogCluster, type VarlogClusterOptions } from './varlog-cluster.ts';
