import { assert, Closers, type Handler, type Ports, type Server } from '../../base/index.ts';
import { startAdmin } from '../admin/index.ts';
import {
  type MetadataRepository,
  type MetadataRepositoryOptions,
  startMetadataRepository,
} from '../metadata-repository/index.ts';
import {
  type StorageNode,
  type StorageNodeOptions,
  startStorageNode,
} from '../storage-node/index.ts';

/** Which node it is, and of which cluster. */
export interface NodeIdentity {
  readonly ports: Ports;
  readonly clusterId: number;
  /** Its id as a storage node and, unless that has another one, as a member of the metadata repository. */
  readonly nodeId: number;
  /** Where others reach it: `host:port`. */
  readonly address: string;
  /** The members of the metadata repository that the cluster began with, or some that it has now. */
  readonly members: readonly { readonly id: number; readonly address: string }[];
}

/** What a member of the metadata repository is started with, beyond its node. */
export interface MetadataRole
  extends Pick<
    MetadataRepositoryOptions,
    'directory' | 'replicationFactor' | 'supportedLevel' | 'join' | 'leaseReads'
  > {
  /** Its id as a member. Default: that of the node. One that takes the place of a lost one has a new id. */
  readonly memberId?: number;
  /** While it leads: whether log streams are moved so that all storage nodes have about as many. Default true. */
  readonly rebalance?: boolean | undefined;
  /** While it leads: storage nodes whose bytes differ by less are left as they are. Default 64 MiB. */
  readonly rebalanceBytes?: number;
  /** While it leads: log streams that are sealed at once so that replicas take part in them. Default 32. */
  readonly joinsAtOnce?: number;
}

/** What a storage node is started with, beyond its node. */
export interface StorageRole
  extends Pick<
    StorageNodeOptions,
    | 'directory'
    | 'trashKeepMs'
    | 'writeAhead'
    | 'segmentBytes'
    | 'cacheBytes'
    | 'pendingBytes'
    | 'recordBytesMax'
    | 'producerLimits'
    | 'supportedLevel'
  > {}

export interface RolesOptions extends NodeIdentity {
  /** Without: this node is no member of the metadata repository. */
  readonly metadata?: MetadataRole | undefined;
  /** Without: this node is no storage node. */
  readonly storage?: StorageRole | undefined;
  /** What to bind, where it is not `address`: `host:port`. */
  readonly listen?: string;
}

/** The roles of one process of a cluster, at one address. */
export class NodeRoles {
  private readonly node: NodeIdentity;
  private readonly handlers: Handler[] = [];
  private readonly closers = new Closers();
  private member: MetadataRepository | undefined;
  private storage: StorageNode | undefined;
  private server: Server | undefined;

  constructor(node: NodeIdentity) {
    this.node = node;
  }

  /** The member of the metadata repository, where it is one. */
  get repository(): MetadataRepository | undefined {
    return this.member;
  }

  /** The storage node, where it is one. */
  get storageNode(): StorageNode | undefined {
    return this.storage;
  }

  /** The address that was bound; empty while nothing is served. */
  get address(): string {
    return this.server?.address ?? '';
  }

  /** Makes it a member of the metadata repository, which looks after the cluster whenever it leads. */
  async startMetadata({
    memberId,
    rebalance = true,
    rebalanceBytes,
    joinsAtOnce,
    ...role
  }: MetadataRole): Promise<MetadataRepository> {
    const { ports, clusterId, nodeId, members } = this.node;
    const repository = await startMetadataRepository({
      ...role,
      ports,
      clusterId,
      memberId: memberId ?? nodeId,
      members,
    });
    this.member = repository;
    this.closers.add(() => repository.close());
    const { replicationFactor } = role;
    const own = { ports, repository };
    const admin = startAdmin({
      ...own,
      replicationFactor,
      rebalance,
      ...(rebalanceBytes !== undefined && { rebalanceBytes }),
      ...(joinsAtOnce !== undefined && { joinsAtOnce }),
    });
    this.closers.add(() => admin.close());
    this.handlers.push(...repository.handlers, ...admin.handlers);
    return repository;
  }

  /** Makes it a storage node. */
  async startStorage(role: StorageRole): Promise<StorageNode> {
    const { ports, clusterId, nodeId, address, members } = this.node;
    const { member } = this;
    const storage = await startStorageNode({
      ...role,
      ports,
      clusterId,
      storageNodeId: nodeId,
      address,
      metadataRepository: members.map((it) => it.address),
      leaderHeardAt: member && ((of) => member.leaderHeardAt(of)),
    });
    this.storage = storage;
    this.closers.add(() => storage.close());
    this.handlers.push(...storage.handlers);
    return storage;
  }

  /** Binds the address, and answers there for all roles that were started. */
  async serve(listen: string = this.node.address): Promise<void> {
    assert(this.server === undefined, 'the roles of a node are served once');
    const server = await this.node.ports.network.serve(listen, this.handlers);
    this.server = server;
    // They leave before the address is given up: what breaks by that is no news to the roles of this node.
    this.closers.add(
      () => server.close(),
      () => this.storage?.leave(),
      () => this.member?.leave(),
    );
  }

  /** Ends them, the last one first. Rejects, once all were tried, with the first failure. Idempotent. */
  close(): Promise<void> {
    return this.closers.close();
  }
}

/** Starts the roles of a node and serves them. Fails as a whole or not at all. */
export async function startRoles(options: RolesOptions): Promise<NodeRoles> {
  const roles = new NodeRoles(options);
  try {
    if (options.metadata !== undefined) await roles.startMetadata(options.metadata);
    if (options.storage !== undefined) await roles.startStorage(options.storage);
    await roles.serve(options.listen);
    return roles;
  } catch (error) {
    // What kept it from starting is the news, and not what that broke.
    await roles.close().catch(() => undefined);
    throw error;
  }
}
