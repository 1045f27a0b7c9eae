import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import {
  type Clock,
  checkFunctions,
  checkGivenCount,
  checkNames,
  checkSignal,
  checkText,
  type Disk,
  type OptionNames,
  type Ports,
  sleep,
  VarlogError,
} from '../base/index.ts';
import { Varlog } from '../log/index.ts';
import { realPorts, type TlsOptions } from '../runtime/index.ts';
import { decodeJsonValue, readReplaced, replaceFile } from '../store/index.ts';
import { superviseNode } from './child-node.ts';
import { resolveConfig } from './config.ts';
import { CredentialFiles } from './credential-files.ts';
import { checkPortsFree } from './free-ports.ts';
import { startWithFiles } from './start-node.ts';
import { type TlsFiles, tlsFromFiles } from './tls-files.ts';
import { tokensFromFile } from './token-file.ts';

/** With the files of TLS the nodes speak it, by a certificate for 127.0.0.1. Default: they do not. */
export interface LocalClusterOptions extends Omit<TlsFiles, 'tlsMutual'> {
  /** Processes: 1 runs in this one, more run beside it and replicate. */
  nodes: number;
  /** gRPC port of the first node; the others follow. */
  port: number;
  /** Port of /readyz and /metrics of the first node; the others follow. */
  httpPort: number;
  directory: string;
  /** Log streams of the topic that a new cluster starts with. */
  logStreams: number;
  /** File of access tokens that the nodes ask for. Default: anybody on this machine is let in. */
  tokenFile?: string | undefined;
  /** Hears what is going on, for people. */
  progress: (text: string) => void;
  /** Gives up the start: what was started is ended, and the call rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
}

/** A cluster on this machine. */
export interface LocalCluster {
  /** gRPC addresses, one a node. */
  readonly endpoints: string[];
  readonly httpAddresses: string[];
  readonly processIds: () => (number | undefined)[];
  close(): Promise<void>;
}

const HOST = '127.0.0.1';
const READY_TIMEOUT_MS = 60_000;

/**
 * Starts a ready cluster from nothing, or from what an earlier one left in `directory`: topic 1 is there and
 * takes appends when this resolves. Nothing is started unless all ports are free. Rejects with `ADDRESS_IN_USE`,
 * `DIRECTORY_UNWRITABLE`, `DIRECTORY_IN_USE`, or `CONFIG_INVALID` when the directory holds a cluster of another size, or
 * the tokens cannot be used.
 */
export async function startLocalCluster(options: LocalClusterOptions): Promise<LocalCluster> {
  checkLocal(options);
  const { clock, disk } = realPorts({ directory: options.directory });
  const endpoints = range(options.nodes).map((i) => `${HOST}:${options.port + i}`);
  const httpAddresses = range(options.nodes).map((i) => `${HOST}:${options.httpPort + i}`);
  await checkPortsFree([...endpoints, ...httpAddresses]);
  await prepareDirectory(options, disk);
  const flagsOf = (i: number): Record<string, string> => ({
    nodeId: String(i + 1),
    listen: endpoints[i]!,
    http: httpAddresses[i]!,
    directory: join(options.directory, `node-${i + 1}`),
    members: endpoints.map((address, at) => `${at + 1}=${address}`).join(','),
    replicationFactor: String(options.nodes),
    ...reachedBy(options),
  });
  const token = tokensFromFile(options.tokenFile)?.[0];
  const tls = tlsFromFiles(options);

  const running =
    options.nodes === 1
      ? await runHere(flagsOf(0))
      : runBeside(options, range(options.nodes).map(flagsOf), clock);
  try {
    options.progress(`waiting for ${options.nodes === 1 ? 'the node' : 'the nodes'} to be ready`);
    await readyTopic({ endpoints, token, tls }, options, { clock, disk }, running);
    return { endpoints, httpAddresses, processIds: running.processIds, close: running.close };
  } catch (error) {
    await running.close();
    throw error;
  }
}

const NAMES: OptionNames<LocalClusterOptions> = {
  nodes: true,
  port: true,
  httpPort: true,
  directory: true,
  logStreams: true,
  tokenFile: true,
  progress: true,
  signal: true,
  tlsCa: true,
  tlsCertificate: true,
  tlsKey: true,
};

function checkLocal(options: LocalClusterOptions): void {
  checkNames(options, NAMES, 'startLocalCluster');
  const { nodes, directory, progress, signal } = options;
  checkGivenCount(nodes, 'nodes');
  checkGivenCount(options.port, 'port', 1, 65_536 - nodes);
  checkGivenCount(options.httpPort, 'httpPort', 1, 65_536 - nodes);
  checkGivenCount(options.logStreams, 'logStreams');
  checkText(directory, 'directory');
  checkFunctions({ progress });
  checkSignal(signal);
}

/** What decides who reaches the nodes, as options of each of them. */
function reachedBy(options: LocalClusterOptions): Record<string, string> {
  const { tlsCa, tlsCertificate, tlsKey, tokenFile } = options;
  const given = Object.entries({ tlsCa, tlsCertificate, tlsKey, tokenFile });
  return Object.fromEntries(given.filter((it): it is [string, string] => it[1] !== undefined));
}

interface Running {
  processIds: () => (number | undefined)[];
  /** Why the cluster can never become ready, once that is known. */
  failure: () => VarlogError | undefined;
  /** Whether each node has bound its addresses: whoever answers there is one of them, and nobody else. */
  isListening: () => boolean;
  close(): Promise<void>;
}

async function runHere(flags: Record<string, string>): Promise<Running> {
  const config = resolveConfig({ flags: { ...flags, logLevel: 'warn' } });
  const files = new CredentialFiles(config);
  const { tls, tokens } = files;
  const ports = realPorts({ directory: config.directory, tls, tokens });
  const node = await startWithFiles(config, ports, files);
  return {
    processIds: () => [process.pid],
    failure: () => undefined,
    isListening: () => true,
    close: () => node.close(),
  };
}

function runBeside(
  options: LocalClusterOptions,
  nodes: Record<string, string>[],
  clock: Clock,
): Running {
  const cli = fileURLToPath(new URL('./cli.js', import.meta.url));
  let failure: VarlogError | undefined;
  const children = nodes.map((flags, i) => {
    options.progress(`starting node ${i + 1} at ${flags['listen']}`);
    const directory = flags['directory']!;
    const args = Object.entries(flags).flatMap(([key, value]) => [
      `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
      value,
    ]);
    return superviseNode({
      command: process.execPath,
      args: [cli, 'server', ...args],
      directory,
      now: () => clock.now(),
      ended: (how, again) => {
        options.progress(`node ${i + 1} ended (${how})${again ? ', starting it again' : ''}`);
        if (again) return;
        failure = new VarlogError('UNAVAILABLE', {
          what: `node ${i + 1} cannot be started`,
          next: `see the end of ${join(directory, 'log.jsonl')}`,
        });
      },
    });
  });
  return {
    processIds: () => children.map((it) => it.pid),
    failure: () => failure,
    isListening: () => children.every((it) => it.isListening),
    close: async () => {
      await Promise.all(children.map((it) => it.stop()));
    },
  };
}

/** Waits until the cluster answers, makes its first topic, and waits until that takes appends. */
async function readyTopic(
  where: { endpoints: string[]; token: string | undefined; tls: TlsOptions | undefined },
  options: LocalClusterOptions,
  { clock, disk }: Pick<Ports, 'clock' | 'disk'>,
  running: Running,
): Promise<void> {
  const deadline = clock.now() + READY_TIMEOUT_MS;
  const stopping = options.signal === undefined ? {} : { signal: options.signal };
  for (;;) {
    try {
      if (!running.isListening()) throw notListening();
      const known = await readState(disk, options);
      const expected = known.cluster === undefined ? {} : { cluster: known.cluster };
      const limits = { timeoutMs: 2_000, ...stopping };
      await using varlog = await Varlog.connect({ ...where, ...expected, ...limits });
      await varlog.ready({ storageNodes: options.nodes, timeoutMs: 5_000, ...stopping });
      // One of them may have ended since, and another process have taken its place.
      if (!running.isListening()) throw notListening();
      if (known.cluster === undefined) {
        await writeState(disk, { ...known, cluster: varlog.cluster });
      }
      if ((await varlog.topics(stopping)).length === 0) {
        const topic = await varlog.createTopic({ logStreams: options.logStreams });
        options.progress(`made topic ${topic.id} with ${options.logStreams} log streams`);
      }
      return;
    } catch (error) {
      options.signal?.throwIfAborted();
      const final =
        running.failure() ?? (VarlogError.is(error) && error.retryable ? undefined : error);
      if (final !== undefined) throw final;
      if (clock.now() > deadline) throw error;
      await sleep(clock, 100, options.signal);
    }
  }
}

function notListening(): VarlogError {
  return new VarlogError('UNAVAILABLE', {
    what: 'not every node listens on its addresses yet',
    next: 'see log.jsonl in the folders of the nodes',
  });
}

/** Refuses a directory that holds a cluster of another size: its members could never agree. */
async function prepareDirectory(options: LocalClusterOptions, disk: Disk): Promise<void> {
  try {
    await disk.makeDirectory('.');
    const isNew = !(await disk.list('.')).includes(STATE_FILE);
    if (isNew) await writeState(disk, { nodes: options.nodes });
  } catch (cause) {
    throw new VarlogError('DIRECTORY_UNWRITABLE', {
      what: `cannot write to ${options.directory}`,
      next: 'choose another one with --directory',
      cause,
    });
  }
  const { nodes } = await readState(disk, options);
  if (nodes === options.nodes) return;
  throw new VarlogError('CONFIG_INVALID', {
    what: `${options.directory} holds a cluster of ${nodes}, not of ${options.nodes}`,
    next: `use --nodes ${nodes}, or another --directory`,
  });
}

const STATE_FILE = 'cluster.json';

/** What the folder of a local cluster tells about it; `cluster` once it was ready for the first time. */
const clusterState = z.object({ nodes: z.int().min(1), cluster: z.string().optional() });

type ClusterState = z.infer<typeof clusterState>;

async function readState(disk: Disk, { directory }: LocalClusterOptions): Promise<ClusterState> {
  const path = join(directory, STATE_FILE);
  const decode = (bytes: Uint8Array): ClusterState => {
    try {
      return clusterState.parse(decodeJsonValue(bytes, path));
    } catch (cause) {
      if (VarlogError.is(cause)) throw cause;
      throw new VarlogError('CORRUPT', {
        what: `${path} does not say how many nodes the cluster here has`,
        next: 'write {"nodes": 3} into it, with the count of folders "node-…" beside it',
        cause,
      });
    }
  };
  return (await readReplaced(disk, STATE_FILE, decode))!;
}

/** Replaced as a whole: half a file would keep the cluster from starting. */
function writeState(disk: Disk, state: ClusterState): Promise<void> {
  return replaceFile(disk, STATE_FILE, [new TextEncoder().encode(`${JSON.stringify(state)}\n`)]);
}

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
