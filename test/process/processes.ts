import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TlsOptions, type Topic, Varlog } from 'varlog/log';
import { freeAddresses } from 'varlog/testing';

/** The package's folder: this file is run from source by tests and from `dist` by the benchmark. */
export const ROOT = ancestorWith('package.json', import.meta.dirname);

function ancestorWith(file: string, folder: string): string {
  return existsSync(join(folder, file)) ? folder : ancestorWith(file, dirname(folder));
}

/** A process of the built package (`dist`), to be killed and started again at will. */
export class Program {
  private readonly path: string;
  private readonly args: readonly string[];
  private child: ChildProcess | undefined;
  /** What it wrote since its last start, both streams. */
  output = '';

  constructor(path: string, args: readonly string[]) {
    this.path = join(ROOT, 'dist', path);
    this.args = args;
  }

  get pid(): number {
    return this.child?.pid ?? 0;
  }

  start(): void {
    this.output = '';
    const child = spawn(process.execPath, [this.path, ...this.args], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const keep = (chunk: Buffer): void => {
      this.output = (this.output + chunk.toString()).slice(-20_000);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    this.child = child;
  }

  /** Resolves with its exit code when it ends by itself. */
  ended(): Promise<number | null> {
    const { child } = this;
    if (child === undefined || child.exitCode !== null)
      return Promise.resolve(child?.exitCode ?? 0);
    return new Promise((resolve) => child.once('exit', resolve));
  }

  /** Ends it by a signal and waits until it is gone. */
  async end(signal: NodeJS.Signals): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
  }
}

interface TestClusterOptions {
  replicationFactor: number;
  tls: { flags: readonly string[]; client: TlsOptions } | undefined;
}

/** A cluster of real processes with real disks, in a folder of its own. */
export class TestCluster implements AsyncDisposable {
  readonly endpoints: string[];
  readonly nodes: Program[];
  private readonly directory: string;

  private readonly tls: TlsOptions | undefined;

  private constructor(endpoints: string[], directory: string, options: TestClusterOptions) {
    this.directory = directory;
    this.tls = options.tls?.client;
    this.endpoints = endpoints;
    const members = this.endpoints.map((it, i) => `${i + 1}=${it}`).join(',');
    this.nodes = this.endpoints.map(
      (listen, i) =>
        new Program('framework/node/cli.js', [
          'server',
          ...['--node-id', String(i + 1), '--listen', listen, '--members', members],
          ...['--directory', join(directory, `node-${i + 1}`), '--log-level', 'warn'],
          ...['--replication-factor', String(options.replicationFactor)],
          ...(options.tls?.flags ?? []),
        ]),
    );
  }

  static async start(
    nodes: number,
    replicationFactor = nodes,
    tls?: TestClusterOptions['tls'],
  ): Promise<TestCluster> {
    const directory = mkdtempSync(join(tmpdir(), 'varlog-test-'));
    const options = { replicationFactor, tls };
    const cluster = new TestCluster(await freeAddresses(nodes), directory, options);
    cluster.startAll();
    await cluster.ready();
    return cluster;
  }

  /** The data folder of node `id`. */
  folderOf(id: number): string {
    return join(this.directory, `node-${id}`);
  }

  startAll(): void {
    for (const node of this.nodes) node.start();
  }

  connect(): Promise<Awaited<ReturnType<typeof Varlog.connect>>> {
    return Varlog.connect({ endpoints: this.endpoints, timeoutMs: 30_000, tls: this.tls });
  }

  /** Resolves when there is a leader and every storage node is up. */
  async ready(): Promise<void> {
    const varlog = await this.connect();
    try {
      await varlog.ready({ storageNodes: this.nodes.length, timeoutMs: 30_000 });
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.killAll();
    rmSync(this.directory, { recursive: true, force: true });
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
