/**
 * The roles of one process of a cluster, at one address: member of the metadata repository, storage node, or both.
 * The processes of a cluster, simulations and tests start them here.
 *
 * ```ts
 * const roles = await startRoles({
 *   ports, clusterId: 1, nodeId: 1, address: '127.0.0.1:9092',
 *   members: [{ id: 1, address: '127.0.0.1:9092' }],
 *   metadata: { directory: 'metadata', replicationFactor: 1 },
 *   storage: { directory: 'storage' },
 * });
 * ```
 *
 * It reads no configuration, and shows nothing to operators: that is `node`.
 */
export { type NodeIdentity, NodeRoles, type RolesOptions, startRoles } from './node-roles.ts';
