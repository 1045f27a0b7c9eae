import { type TlsOptions, type Topic, Varlog } from 'varlog/log';
import { freeAddresses } from 'varlog/testing';
import { LocalProcesses, type Program } from './local-processes.ts';

interface TestClusterOptions {
  /** Copies of each record. Default: one on each storage node. */
  readonly replicationFactor?: number;
  /** More flags of each process. */
  readonly flags?: readonly string[];
  /** Variables of each process beside those of this one. */
  readonly env?: NodeJS.ProcessEnv;
  readonly tls?: { readonly flags: readonly string[]; readonly client: TlsOptions };
  /** What clients show. */
  readonly token?: string;
}

/** A cluster of real processes with real disks, in a folder of its own. */
export class TestCluster implements AsyncDisposable {
  readonly endpoints: string[];
  readonly nodes: readonly Program[];
  readonly processes: LocalProcesses;
  private readonly storageNodes: number;
  private readonly access: { tls?: TlsOptions | undefined; token?: string | undefined };

  private constructor(
    processes: LocalProcesses,
    endpoints: string[],
    storageNodes: number,
    access: TestCluster['access'] = {},
  ) {
    this.processes = processes;
    this.nodes = [...processes.programs];
    this.endpoints = endpoints;
    this.storageNodes = storageNodes;
    this.access = access;
  }

  /** Each process is a member of the metadata repository and a storage node. Resolves when all are ready. */
  static async start(nodes: number, options: TestClusterOptions = {}): Promise<TestCluster> {
    const endpoints = await freeAddresses(nodes);
    const processes = new LocalProcesses();
    const shared = {
      members: endpoints.map((it, i) => `${i + 1}=${it}`).join(','),
      'replication-factor': options.replicationFactor ?? nodes,
    };
    for (const [i, listen] of endpoints.entries()) {
      const directory = processes.folder(`node-${i + 1}`);
      const flags = { ...shared, 'node-id': i + 1, listen, directory };
      const more = [...(options.flags ?? []), ...(options.tls?.flags ?? [])];
      processes.node(flags, more, options.env);
    }
    const access = { tls: options.tls?.client, token: options.token };
    return TestCluster.up(new TestCluster(processes, endpoints, nodes, access));
  }

  /** One member of the metadata repository and one storage node, a process each. */
  static async startApart(): Promise<TestCluster> {
    const [metadata, storage] = (await freeAddresses(2)) as [string, string];
    const processes = new LocalProcesses();
    const shared = { members: `1=${metadata}`, directory: processes.folder('data') };
    processes.node({ ...shared, roles: 'metadata', listen: metadata });
    processes.node({ ...shared, roles: 'storage', listen: storage });
    return TestCluster.up(new TestCluster(processes, [metadata], 1));
  }

  private static async up(cluster: TestCluster): Promise<TestCluster> {
    try {
      cluster.startAll();
      await cluster.ready();
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The data folder of node `id`. */
  folderOf(id: number): string {
    return this.processes.folder(`node-${id}`);
  }

  startAll(): void {
    for (const node of this.nodes) if (!node.isUp) node.start();
  }

  connect(): Promise<Awaited<ReturnType<typeof Varlog.connect>>> {
    return Varlog.connect({ endpoints: this.endpoints, timeoutMs: 30_000, ...this.access });
  }

  /** Resolves when there is a leader and every storage node is up. */
  async ready(): Promise<void> {
    const varlog = await this.connect();
    try {
      await varlog.ready({ storageNodes: this.storageNodes, timeoutMs: 30_000 });
    } catch (error) {
      throw new Error(this.nodes.map((it, i) => `node ${i + 1}: ${it.output}`).join('\n'), {
        cause: error,
      });
    } finally {
      await varlog.close();
    }
  }

  async killAll(): Promise<void> {
    await Promise.all(this.nodes.map((it) => it.end('SIGKILL')));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.processes[Symbol.asyncDispose]();
  }
}

/** Tries until it succeeds; rejects with the last error when the time is up. */
export async function eventually<T>(attempt: () => Promise<T>, timeoutMs = 30_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** The records of a topic, from its beginning to its end. */
export async function textsOf(topic: Topic): Promise<string[]> {
  const texts: string[] = [];
  for await (const it of topic.read()) texts.push(it.text());
  return texts;
}

/** Resolves when every log stream is open on all of its replicas. */
export async function whole(varlog: Varlog): Promise<void> {
  await eventually(async () => {
    const { topics } = await varlog.status();
    for (const { id, state, inSync, replicas } of topics.flatMap((it) => it.logStreams)) {
      if (state !== 'open' || inSync < replicas.length) {
        throw new Error(`log stream ${id} is ${state}: ${JSON.stringify(replicas)}`);
      }
    }
  }, 60_000);
}
