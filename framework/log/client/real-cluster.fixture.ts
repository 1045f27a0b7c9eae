import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Handler, Server } from '../../base/index.ts';
import { realPorts } from '../../runtime/index.ts';
import { freeAddresses } from '../../testing/free-addresses.ts';
import { startAdmin } from '../admin/index.ts';
import { startMetadataRepository } from '../metadata-repository/index.ts';
import { startStorageNode } from '../storage-node/index.ts';

/** A whole cluster in this process on real disks and sockets. */
export interface RealCluster {
  readonly endpoint: string;
  /** Of the storage nodes. */
  readonly addresses: readonly string[];
  close(): Promise<void>;
}

const CLUSTER_ID = 3;

/** One member of the metadata repository and `nodes` storage nodes. */
export async function startRealCluster(nodes: number): Promise<RealCluster> {
  const directory = await mkdtemp(join(tmpdir(), 'varlog-client-'));
  const ports = realPorts({ directory, logLevel: 'error' });
  const closers: (() => Promise<void>)[] = [];
  const [endpoint = '', ...addresses] = await freeAddresses(1 + nodes);
  const repository = await startMetadataRepository({
    ports,
    clusterId: CLUSTER_ID,
    memberId: 1,
    members: [{ id: 1, address: endpoint }],
    directory: 'metadata',
    replicationFactor: nodes,
  });
  closers.push(() => repository.close());
  const admin = startAdmin({ ports, repository, replicationFactor: nodes });
  closers.push(() => admin.close());
  closers.push(await serve(endpoint, [...repository.handlers, ...admin.handlers]));
  for (const [i, address] of addresses.entries()) {
    const node = await startStorageNode({
      ports,
      clusterId: CLUSTER_ID,
      storageNodeId: i + 1,
      address,
      directory: `storage-${i + 1}`,
      metadataRepository: [endpoint],
    });
    closers.push(() => node.close());
    closers.push(await serve(address, [...node.handlers]));
  }
  return {
    endpoint,
    addresses,
    close: async () => {
      for (const close of closers.reverse()) await close();
      await rm(directory, { recursive: true, force: true });
    },
  };

  async function serve(address: string, handlers: Handler[]): Promise<() => Promise<void>> {
    const server: Server = await ports.network.serve(address, handlers);
    return () => server.close();
  }
}
