import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realPorts } from '../../runtime/index.ts';
import { freeAddresses } from '../../testing/free-addresses.ts';
import { type NodeRoles, startRoles } from '../roles/index.ts';

/** A whole cluster in this process on real disks and sockets. */
export interface RealCluster {
  readonly endpoint: string;
  /** Addresses of the storage nodes. */
  readonly addresses: readonly string[];
  close(): Promise<void>;
}

const CLUSTER_ID = 3;

/** One member of the metadata repository and `nodes` storage nodes. */
export async function startRealCluster(nodes: number): Promise<RealCluster> {
  const directory = await mkdtemp(join(tmpdir(), 'varlog-client-'));
  const ports = realPorts({ directory, logLevel: 'error' });
  const [endpoint = '', ...addresses] = await freeAddresses(1 + nodes);
  const started: NodeRoles[] = [];
  const common = { ports, clusterId: CLUSTER_ID, members: [{ id: 1, address: endpoint }] };
  const metadata = { directory: 'metadata', replicationFactor: nodes };
  started.push(await startRoles({ ...common, nodeId: 1, address: endpoint, metadata }));
  for (const [i, address] of addresses.entries()) {
    const storage = { directory: `storage-${i + 1}` };
    started.push(await startRoles({ ...common, nodeId: i + 1, address, storage }));
  }
  return {
    endpoint,
    addresses,
    close: async () => {
      for (const it of started.reverse()) await it.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
