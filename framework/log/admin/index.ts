/**
 * Looks after the cluster: places log streams, notices lost nodes, seals log streams whose primary
 * is gone and opens them again on the rest, takes returned replicas back in.
 *
 * ```ts
 * const admin = startAdmin({ ports, repository, replicationFactor: 3 });
 * await ports.network.serve(address, [...repository.handlers, ...admin.handlers]);
 * ```
 *
 * It keeps no state: what it decides, it reads from the metadata repository and writes there.
 */
export { type Admin, type AdminOptions, startAdmin } from './admin.ts';
