import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Varlog } from 'varlog/log';
import { freeAddresses } from 'varlog/testing';
import { Program } from '../process/processes.ts';

/** Real processes for the benchmark, on real disks. */
export class BenchCluster implements AsyncDisposable {
  readonly programs: Program[];
  readonly endpoints: string[];
  private readonly storageNodes: number;
  private readonly directory: string;

  private constructor(
    programs: Program[],
    endpoints: string[],
    storageNodes: number,
    directory: string,
  ) {
    this.programs = programs;
    this.endpoints = endpoints;
    this.storageNodes = storageNodes;
    this.directory = directory;
  }

  /** One metadata repository member and one storage node, a process each. */
  static async pair(): Promise<BenchCluster> {
    const directory = mkdtempSync(join(tmpdir(), 'varlog-bench-'));
    const [metadata, storage] = await freeAddresses(2);
    const members = `1=${metadata}`;
    const common = ['--members', members, '--log-level', 'warn', '--directory', directory];
    const run = (role: string, listen: string): Program =>
      new Program('framework/node/cli.js', [
        'server',
        ...['--roles', role, '--listen', listen, ...common],
      ]);
    const programs = [run('metadata', metadata!), run('storage', storage!)];
    return BenchCluster.up(programs, [metadata!], 1, directory);
  }

  /** Three processes, each a member and a storage node; every record on all three. */
  static async trio(): Promise<BenchCluster> {
    const directory = mkdtempSync(join(tmpdir(), 'varlog-bench-'));
    const endpoints = await freeAddresses(3);
    const members = endpoints.map((it, i) => `${i + 1}=${it}`).join(',');
    const programs = endpoints.map(
      (listen, i) =>
        new Program('framework/node/cli.js', [
          'server',
          ...['--node-id', `${i + 1}`, '--listen', listen, '--members', members],
          ...['--replication-factor', '3', '--log-level', 'warn'],
          ...['--directory', join(directory, `${i + 1}`)],
        ]),
    );
    return BenchCluster.up(programs, endpoints, 3, directory);
  }

  private static async up(
    programs: Program[],
    endpoints: string[],
    storageNodes: number,
    directory: string,
  ): Promise<BenchCluster> {
    const cluster = new BenchCluster(programs, endpoints, storageNodes, directory);
    for (const it of programs) it.start();
    await cluster.ready();
    return cluster;
  }

  connect(): Promise<Awaited<ReturnType<typeof Varlog.connect>>> {
    return Varlog.connect({ endpoints: this.endpoints, timeoutMs: 20_000 });
  }

  async ready(): Promise<void> {
    await using varlog = await this.connect();
    await varlog.ready({ storageNodes: this.storageNodes, timeoutMs: 20_000 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.programs.map((it) => it.end('SIGKILL')));
    rmSync(this.directory, { recursive: true, force: true });
  }
}
