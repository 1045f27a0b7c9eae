import type { Ports } from '../../framework/base/index.ts';
import { Varlog } from '../../framework/log/client/index.ts';
import { type NodeRoles, type RolesOptions, startRoles } from '../../framework/log/roles/index.ts';
import { drawWriteAhead } from './write-ahead.ts';

export const NODES = ['n1', 'n2', 'n3'];
const PORT = 9092;

const members = NODES.map((name, i) => ({ id: i + 1, address: `${name}:${PORT}` }));
export const endpoints = members.map((it) => it.address);

/** A whole node: metadata repository member, admin and storage node on one address. */
export function startNode(
  ports: Ports,
  name: string,
  storage: Partial<RolesOptions['storage']> = {},
  metadata: Partial<RolesOptions['metadata']> = {},
): Promise<NodeRoles> {
  return startRoles({
    ports,
    clusterId: 1,
    nodeId: NODES.indexOf(name) + 1,
    address: `${name}:${PORT}`,
    members,
    metadata: { directory: 'metadata', replicationFactor: NODES.length, ...metadata },
    storage: { directory: 'storage', writeAhead: drawWriteAhead(ports.random), ...storage },
  });
}

export async function makeTopic(ports: Ports): Promise<number> {
  const varlog = await connect(ports);
  await varlog.ready({ storageNodes: NODES.length, timeoutMs: 30_000 });
  const { id } = await varlog.createTopic({ logStreams: 2 });
  await varlog.createTopic({ logStreams: 1 });
  await varlog.close();
  return id;
}

export function connect(ports: Ports, at: readonly string[] = endpoints): Promise<Varlog> {
  return Varlog.connect({ endpoints: at, timeoutMs: 60_000, ports });
}
