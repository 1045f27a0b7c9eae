import {
  type Channel,
  Closers,
  noLogger,
  type Ports,
  sleep,
  type UnaryMethod,
  VarlogError,
} from '../../base/index.ts';
import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { freeAddresses } from '../../testing/free-addresses.ts';
import { SimulatedDisk } from '../../testing/index.ts';
import * as admpb from '../../wire/gen/admpb.ts';
import type { MetadataRepository } from '../metadata-repository/index.ts';
import { startRoles } from '../roles/index.ts';
import type { StorageNode } from '../storage-node/index.ts';

const service = admpb.ClusterManager;

/** One member of the metadata repository with its admin, and two storage nodes, on the loopback interface. */
export class Cluster {
  channel!: Channel;
  private address = '';
  repository!: MetadataRepository;
  readonly addresses: string[] = [];
  readonly nodes: StorageNode[] = [];
  private readonly closers = new Closers();

  static async start(): Promise<Cluster> {
    const cluster = new Cluster();
    const address = await cluster.startRepository();
    for (const id of [1, 2]) await cluster.startNode(id, address);
    for (const id of [1, 2]) await cluster.isUp(id);
    return cluster;
  }

  close(): Promise<void> {
    return this.closers.close();
  }

  private async startRepository(): Promise<string> {
    const ports = portsOfOne();
    const address = (await freeAddresses(1))[0]!;
    const roles = await startRoles({
      ports,
      clusterId: 7,
      nodeId: 1,
      address,
      members: [{ id: 1, address }],
      metadata: { directory: 'metadata', replicationFactor: 2 },
    });
    this.repository = roles.repository!;
    this.channel = ports.network.connect(address);
    this.address = address;
    this.closers.add(
      () => roles.close(),
      () => this.channel.close(),
    );
    return address;
  }

  async startNode(id: number, repository: string = this.address): Promise<StorageNode> {
    const ports = portsOfOne();
    const address = (await freeAddresses(1))[0]!;
    const roles = await startRoles({
      ports,
      clusterId: 7,
      nodeId: id,
      address,
      members: [{ id: 1, address: repository }],
      storage: { directory: 'storage' },
    });
    const node = roles.storageNode!;
    this.addresses[id] = address;
    this.nodes[id] = node;
    this.closers.add(() => roles.close());
    return node;
  }

  /** Asks the member, also when it does not lead for a moment: on a busy machine it may lose its term and get it back. */
  async ask<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
  ): Promise<Response> {
    for (;;) {
      try {
        return await this.channel.call(method, request);
      } catch (error) {
        if (!VarlogError.is(error, 'NOT_LEADER')) throw error;
        await sleep(realClock(), 20);
      }
    }
  }

  /** A member that waits to be added; returns its address. */
  async startMember(id: number): Promise<string> {
    const address = (await freeAddresses(1))[0]!;
    const roles = await startRoles({
      ports: portsOfOne(),
      clusterId: 7,
      nodeId: id,
      address,
      members: [
        { id: 1, address: this.address },
        { id, address },
      ],
      metadata: { directory: 'metadata', replicationFactor: 2, join: true },
    });
    this.closers.add(() => roles.close());
    return address;
  }

  /** The id that clients of the published interface compute from the member's address. */
  nodeId(address: string = this.address): number {
    return 0x7f000001 * 2 ** 32 + Number(address.split(':')[1]) * 2 ** 16;
  }

  async isUp(id: number): Promise<void> {
    for (;;) {
      const { storageNodes } = await this.channel.call(
        service.ListStorageNodes,
        admpb.ListStorageNodesRequest.create({}),
      );
      const found = storageNodes.find((it) => it.storageNode?.storageNode?.storageNodeId === id);
      if (found?.alive) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

function portsOfOne(): Ports {
  const disk = new SimulatedDisk({ random: realRandom });
  return {
    clock: realClock(),
    random: realRandom,
    disk,
    network: new GrpcNetwork(),
    logger: noLogger,
  };
}
