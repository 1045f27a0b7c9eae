import { type Handler, handler, type Ports, VarlogError } from '../../base/index.ts';
import * as admpb from '../../wire/gen/admpb.ts';
import type { Timestamp } from '../../wire/gen/protobuf.ts';
import * as snpb from '../../wire/gen/snpb.ts';
import { StorageNode } from '../../wire/gen/varlogpb.ts';
import { atLeader, type MetadataRepository } from '../metadata-repository/index.ts';
import { ascending, checkAddress, checkIds } from '../published-ids.ts';
import { publishedTime } from '../published-time.ts';
import { callNode } from './node-calls.ts';
import { missing, nothing } from './refusals.ts';
import { silentReplica } from './silent-replica.ts';

const service = admpb.ClusterManager;

/** What `varlog.admpb.ClusterManager` says of storage nodes. */
export function storageNodeHandlers(repository: MetadataRepository, ports: Ports): Handler[] {
  const nodes = new StorageNodes(repository, ports);
  return [
    atLeader(repository, service.GetStorageNode, async ({ storageNodeId: id }) => {
      checkIds({ 'storage node': id });
      const addresses = await nodes.addresses();
      const address = addresses.get(id);
      if (address === undefined) throw nothing('NOT_FOUND', 'storage node', id);
      const storageNode = await nodes.describe(id, address);
      return admpb.GetStorageNodeResponse.create({ storageNode });
    }),
    atLeader(repository, service.ListStorageNodes, async () => {
      const addresses = await nodes.addresses();
      const sorted = ascending(addresses.keys());
      const storageNodes = await Promise.all(
        sorted.map((id) => nodes.describe(id, addresses.get(id)!)),
      );
      return admpb.ListStorageNodesResponse.create({ storageNodes });
    }),
    atLeader(repository, service.AddStorageNode, async ({ storageNode }) => {
      if (storageNode === null) throw missing('storage_node');
      const { storageNodeId: id, address } = storageNode;
      checkIds({ 'storage node': id });
      checkAddress(address);
      const found = await nodes.identify(id, address);
      await repository.execute({ kind: 'registerStorageNode', id, address });
      const added = nodes.describeAs(id, address, found, true);
      return admpb.AddStorageNodeResponse.create({ storageNode: added });
    }),
    handler(service.UnregisterStorageNode, async ({ storageNodeId: id }) => {
      checkIds({ 'storage node': id });
      try {
        await repository.execute({ kind: 'unregisterStorageNode', id });
      } catch (error) {
        // Whoever asks for this a second time has what he wants.
        if (!VarlogError.is(error, 'NOT_FOUND')) throw error;
      }
      return admpb.UnregisterStorageNodeResponse.create({});
    }),
  ];
}

class StorageNodes {
  private readonly repository: MetadataRepository;
  private readonly ports: Ports;

  constructor(repository: MetadataRepository, ports: Ports) {
    this.repository = repository;
    this.ports = ports;
  }

  /** Of all that are registered now. */
  addresses(): Promise<ReadonlyMap<number, string>> {
    return this.repository.read(
      (it) => new Map([...it.storageNodes.values()].map(({ id, address }) => [id, address])),
    );
  }

  /** What a node says of itself, or what the leader knows of one that does not answer. */
  async describe(id: number, address: string): Promise<admpb.StorageNodeMetadata> {
    const isAlive = this.repository.orderer?.isUp(id) === true;
    const found = isAlive ? await this.ask(address).catch(() => null) : null;
    const isIt = found?.storageNode?.storageNodeId === id;
    return this.describeAs(id, address, isIt ? found : null, isAlive);
  }

  describeAs(
    id: number,
    address: string,
    found: snpb.StorageNodeMetadataDescriptor | null,
    alive: boolean,
  ): admpb.StorageNodeMetadata {
    return admpb.StorageNodeMetadata.create({
      storageNode: found ?? this.known(id, address),
      createTime: found?.createTime ?? null,
      lastHeartbeatTime: alive ? this.now() : this.lastHeard(id),
      alive,
    });
  }

  /** What the metadata says of a node that does not answer. */
  private known(id: number, address: string): snpb.StorageNodeMetadataDescriptor {
    const { metadata, options } = this.repository;
    const streams = ascending(metadata.logStreams.keys()).map((it) => metadata.logStreams.get(it)!);
    const own = streams.filter((it) => it.replicas.includes(id));
    return snpb.StorageNodeMetadataDescriptor.create({
      clusterId: options.clusterId,
      storageNode: StorageNode.create({ storageNodeId: id, address }),
      logStreamReplicas: own.map((it) => silentReplica(metadata, it, id)),
    });
  }

  /** Asks the node who it is, so that a wrong address is not registered. */
  async identify(id: number, address: string): Promise<snpb.StorageNodeMetadataDescriptor | null> {
    const found = await this.ask(address);
    const actual = found?.storageNode?.storageNodeId;
    if (actual === id) return found;
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `the node at ${address} is storage node ${actual}, not ${id}`,
      next: 'check the id and the address',
    });
  }

  private async ask(address: string): Promise<snpb.StorageNodeMetadataDescriptor | null> {
    const { clusterId } = this.repository.options;
    const request = snpb.GetMetadataRequest.create({ clusterId });
    const { GetMetadata } = snpb.Management;
    // One that is new does not know yet which cluster it is part of: its number is all that it can compare.
    const found = await callNode(this.ports, address, GetMetadata, request);
    return found.storageNodeMetadata;
  }

  private lastHeard(id: number): Timestamp | null {
    const ms = this.repository.orderer?.unheardForMs(id) ?? Number.POSITIVE_INFINITY;
    return Number.isFinite(ms) ? publishedTime(this.ports.clock.wall() - ms) : null;
  }

  private now(): Timestamp | null {
    return publishedTime(this.ports.clock.wall());
  }
}
