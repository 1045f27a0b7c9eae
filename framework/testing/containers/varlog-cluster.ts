import type { StartedNetwork, StartedTestContainer } from 'testcontainers';
import { checkNames, type Network } from '../../base/index.ts';
import { Varlog } from '../../log/index.ts';
import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';

const GRPC_PORT = 9092;
const HTTP_PORT = 9180;
const READY_TIMEOUT_MS = 60_000;

export interface VarlogClusterOptions {
  /** Image built from `infra/Dockerfile`. */
  image: string;
  /** Containers; each is a member of the metadata repository and a storage node. Default 3. */
  nodes?: number;
}

/**
 * A cluster in containers on a network of its own, for tests. Needs `testcontainers` and a container
 * engine.
 *
 * ```ts
 * await using cluster = await VarlogCluster.start({ image: 'varlog' });
 * await using varlog = await cluster.connect();
 * ```
 */
export class VarlogCluster implements AsyncDisposable {
  /** The network, for further containers: nodes are `node-1:9092`, … there. */
  readonly network: StartedNetwork;
  private readonly containers: StartedTestContainer[];

  private constructor(network: StartedNetwork, containers: StartedTestContainer[]) {
    this.network = network;
    this.containers = containers;
  }

  /** Resolves when every node says that it is ready. */
  static async start(options: VarlogClusterOptions): Promise<VarlogCluster> {
    checkNames(options, { image: true, nodes: true }, 'VarlogCluster');
    const { GenericContainer, Network, Wait } = await import('testcontainers');
    const { image, nodes = 3 } = options;
    const network = await new Network().start();
    const ids = Array.from({ length: nodes }, (_, i) => i + 1);
    const members = ids.map((id) => `${id}=${alias(id)}`).join(',');
    const start = (id: number): Promise<StartedTestContainer> =>
      new GenericContainer(image)
        .withNetwork(network)
        .withNetworkAliases(`node-${id}`)
        .withExposedPorts(GRPC_PORT, HTTP_PORT)
        .withEnvironment({
          VARLOG_NODE_ID: String(id),
          VARLOG_MEMBERS: members,
          VARLOG_LISTEN: `0.0.0.0:${GRPC_PORT}`,
          VARLOG_ADVERTISE: alias(id),
          VARLOG_REPLICATION_FACTOR: String(nodes),
        })
        .withWaitStrategy(Wait.forHttp('/readyz', HTTP_PORT))
        .withStartupTimeout(READY_TIMEOUT_MS)
        .start();
    try {
      return new VarlogCluster(network, await Promise.all(ids.map(start)));
    } catch (error) {
      await network.stop();
      throw error;
    }
  }

  /** What containers on the cluster's network connect to. */
  get internalEndpoints(): string[] {
    return this.containers.map((_, i) => alias(i + 1));
  }

  /** A client on this machine: it reaches the nodes by the ports that the engine has mapped. */
  connect(): Promise<Varlog> {
    const mapped = new Map<string, string>();
    for (const [i, it] of this.containers.entries()) {
      mapped.set(alias(i + 1), `${it.getHost()}:${it.getMappedPort(GRPC_PORT)}`);
    }
    const real = new GrpcNetwork();
    const network: Network = {
      serve: (address, handlers) => real.serve(address, handlers),
      connect: (address, dial) => real.connect(mapped.get(address) ?? address, dial),
    };
    const ports = { clock: realClock({ background: true }), random: realRandom, network };
    return Varlog.connect({
      endpoints: this.internalEndpoints,
      timeoutMs: READY_TIMEOUT_MS,
      ports,
    });
  }

  /** Runs a command in a node's container, for example `['node', '/app/dist/…/cli.js', 'status']`. */
  async run(node: number, command: string[]): Promise<{ output: string; exitCode: number }> {
    const { output, exitCode } = await this.container(node).exec(command);
    return { output, exitCode };
  }

  /** Ends a node without warning, as a power cut would; its disk stays. */
  async kill(node: number): Promise<void> {
    const { getContainerRuntimeClient } = await import('testcontainers');
    const engine = await getContainerRuntimeClient();
    await engine.container.getById(this.container(node).getId()).kill({ signal: 'SIGKILL' });
  }

  /** Starts a node that was killed, with the disk it had. */
  async restart(node: number): Promise<void> {
    await this.container(node).restart();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.containers.map((it) => it.stop()));
    await this.network.stop();
  }

  private container(node: number): StartedTestContainer {
    const found = this.containers[node - 1];
    if (found === undefined) throw new RangeError(`there is no node ${node}`);
    return found;
  }
}

function alias(node: number): string {
  return `node-${node}:${GRPC_PORT}`;
}
