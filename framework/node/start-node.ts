import { resolve } from 'node:path';
import { Closers, type Ports, VarlogError } from '../base/index.ts';
import { type RolesOptions, startRoles } from '../log/roles/index.ts';
import { serveHttp } from '../runtime/index.ts';
import { CertificateWatch } from './certificate-watch.ts';
import type { NodeConfig } from './config.ts';
import type { CredentialFiles } from './credential-files.ts';
import { CredentialWatch } from './credential-watch.ts';
import { FailureWatch, type NodeFailed, type Role } from './failure-watch.ts';
import { type NodeParts, observe } from './observe.ts';
import { certificateOf } from './tls-files.ts';

/** One running process of a cluster, with the roles of its configuration. */
export interface VarlogNode {
  /** gRPC address that was bound. */
  readonly address: string;
  /** Address of /livez, /readyz and /metrics, where one is configured. */
  readonly httpAddress: string | undefined;
  /** What keeps this node from serving; empty when it is ready. */
  notReady(): string[];
  /**
   * Resolves when all roles of this node have failed for good: start it again. A node with a healthy role goes on.
   * Stays open when that never happens.
   */
  readonly failed: Promise<NodeFailed>;
  /** Ends in the reverse order of the start. Rejects, once all parts were tried, with the first failure. Idempotent. */
  close(): Promise<void>;
}

/** Starts the roles of `config` at one gRPC address. Fails as a whole or not at all. */
export function startNode(config: NodeConfig, ports: Ports): Promise<VarlogNode> {
  return startWithFiles(config, ports, undefined);
}

/** The same; takes over what changes in `files`, of which the network of `ports` was made. */
export async function startWithFiles(
  config: NodeConfig,
  ports: Ports,
  files: CredentialFiles | undefined,
): Promise<VarlogNode> {
  const closers = new Closers();
  const certificate = watchCertificate(config, ports);
  closers.add(() => certificate?.stop());
  const credentials = files && new CredentialWatch({ ...ports, files, certificate });
  closers.add(() => credentials?.stop());
  await warnOfOthers(config, ports);
  try {
    const parts = await startRoles(rolesOptions(config, ports));
    closers.add(() => parts.close());
    const notReady = (): string[] => certificate?.notReady() ?? [];
    const { repository, storageNode } = parts;
    const view = observe({ repository, storageNode, certificate, credentials }, notReady);
    let httpAddress: string | undefined;
    if (config.http !== undefined) {
      const http = await serveHttp(config.http, view.routes);
      closers.add(() => http.close());
      httpAddress = http.address;
    }
    const watch = new FailureWatch(rolesOf(parts), ports);
    closers.add(() => watch.stop());
    const { failed } = watch;
    ports.logger.log('info', 'node started', { address: parts.address, roles: config.roles });
    const close = () => closers.close();
    return { address: parts.address, httpAddress, notReady: view.notReady, failed, close };
  } catch (error) {
    // What kept it from starting is the news, and not what that broke.
    await closers.close().catch(() => undefined);
    throw error;
  }
}

function watchCertificate(config: NodeConfig, ports: Ports): CertificateWatch | undefined {
  const certificate = certificateOf(config);
  if (certificate === undefined) return undefined;
  const { clock, logger } = ports;
  return new CertificateWatch({ certificate, address: config.advertise, clock, logger });
}

const metadataFolder = ({ memberId }: NodeConfig): string => `metadata-${memberId}`;
const storageFolder = ({ nodeId }: NodeConfig): string => `storage-${nodeId}`;

/**
 * A folder that is given to the wrong node begins empty beside the data of its owner, and is refused later for a disk that is
 * lost: here alone it can be told why. Several nodes may share one folder, so it is no reason not to start.
 */
async function warnOfOthers(config: NodeConfig, { disk, logger }: Ports): Promise<void> {
  // A disk that cannot be read is told by what needs it.
  const found = await disk.list('').catch(() => []);
  const own = { metadata: metadataFolder(config), storage: storageFolder(config) };
  for (const role of config.roles) {
    const others = found.filter((it) => new RegExp(`^${role}-\\d+$`).test(it));
    if (others.length === 0 || others.includes(own[role])) continue;
    const directory = resolve(config.directory);
    logger.log('warn', 'the folder has nothing of this node, and data of another one', {
      directory,
      missing: own[role],
      found: others,
    });
  }
}

function rolesOf({ repository, storageNode }: NodeParts): Role[] {
  const metadata = { name: 'metadata', failure: () => repository?.failure?.message };
  const storage = { name: 'storage', failure: () => storageNode?.health };
  return [
    ...(repository === undefined ? [] : [metadata]),
    ...(storageNode === undefined ? [] : [storage]),
  ];
}

function rolesOptions(config: NodeConfig, ports: Ports): RolesOptions {
  const { clusterId, nodeId, members, listen, roles } = config;
  if (roles.length === 0) {
    throw new VarlogError('CONFIG_INVALID', { what: 'roles: must name at least one role' });
  }
  const metadata = {
    memberId: config.memberId,
    join: config.join,
    leaseReads: config.leaseReads,
    directory: metadataFolder(config),
    replicationFactor: config.replicationFactor,
    rebalance: config.rebalance,
    rebalanceBytes: config.rebalanceBytes,
  };
  const storage = {
    directory: storageFolder(config),
    trashKeepMs: config.trashHours * 3_600_000,
    cacheBytes: config.cacheBytes,
    pendingBytes: config.pendingBytes,
    recordBytesMax: config.recordBytesMax,
  };
  return {
    ports,
    clusterId,
    nodeId,
    members,
    address: config.advertise,
    listen,
    metadata: roles.includes('metadata') ? metadata : undefined,
    storage: roles.includes('storage') ? storage : undefined,
  };
}
