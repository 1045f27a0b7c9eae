import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, type ClientDuplexStream, credentials, type ServiceError } from '@grpc/grpc-js';
import { freeAddresses } from 'varlog/testing';
import { serviceOf } from '../proto.ts';

const services = Object.fromEntries(
  ['KV', 'Watch', 'Lease', 'Cluster', 'Maintenance', 'Auth'].map((name) => [
    name,
    serviceOf(`etcdserverpb.${name}`),
  ]),
);
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

/** A stream of requests and answers. */
export type Stream = ClientDuplexStream<object, Record<string, unknown>>;

/** Speaks etcd's interface, message by message. */
export class EtcdClient {
  private readonly client: Client;

  constructor(address: string) {
    const options = { 'grpc.max_receive_message_length': ANSWER_BYTES_MAX };
    this.client = new Client(address, credentials.createInsecure(), options);
  }

  /** Rejects with a `ServiceError`. */
  call(method: string, request: object): Promise<Record<string, unknown>> {
    const { path, requestSerialize, responseDeserialize } = methodOf(method);
    return new Promise((resolve, reject) => {
      this.client.makeUnaryRequest<object, object>(
        path,
        requestSerialize,
        responseDeserialize as (bytes: Buffer) => object,
        request,
        (error, answer) =>
          error === null ? resolve(answer as Record<string, unknown>) : reject(error),
      );
    });
  }

  /** What comes of a call, also where it is an error. */
  async outcome(method: string, request: object): Promise<object> {
    try {
      return await this.call(method, request);
    } catch (error) {
      const { code, details } = error as ServiceError;
      return { code, details };
    }
  }

  stream(method: string): Stream {
    const { path, requestSerialize, responseDeserialize } = methodOf(method);
    return this.client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
    ) as unknown as Stream;
  }

  close(): void {
    this.client.close();
  }
}

function methodOf(name: string) {
  const [service = '', method = ''] = name.split('.');
  return services[service]![method]!;
}

/** Whether a program of etcd's packages is installed. */
function isInstalled(program: 'etcd' | 'etcdctl'): boolean {
  try {
    execFileSync(program, [program === 'etcd' ? '--version' : 'version'], {
      stdio: 'ignore',
      env: { ...process.env, ETCDCTL_API: '3' },
    });
    return true;
  } catch {
    return false;
  }
}

/** `describe`, or what says that it is skipped where a program is not installed. */
export function describeWith(program: 'etcd' | 'etcdctl', name: string, tests: () => void): void {
  if (isInstalled(program)) describe(name, tests);
  else {
    const from = program === 'etcd' ? 'etcd-server' : 'etcd-client';
    describe.skip(`${name} (not installed: apt-get install ${from})`, tests);
  }
}

/** etcd itself, in a process of its own. */
export async function startEtcd(): Promise<{ address: string } & AsyncDisposable> {
  const folder = mkdtempSync(join(tmpdir(), 'varlog-etcd-'));
  const [address = '', peer = ''] = await freeAddresses(2);
  const urls = [
    ...[
      '--listen-client-urls',
      `http://${address}`,
      '--advertise-client-urls',
      `http://${address}`,
    ],
    ...['--listen-peer-urls', `http://${peer}`, '--initial-advertise-peer-urls', `http://${peer}`],
  ];
  const flags = ['--data-dir', folder, '--initial-cluster', `default=http://${peer}`];
  const logging = ['--logger', 'zap', '--log-level', 'error'];
  const child: ChildProcess = spawn('etcd', [...urls, ...flags, ...logging], { stdio: 'ignore' });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  const client = new EtcdClient(address);
  // It answers when it has elected itself.
  while ('code' in (await client.outcome('KV.Range', { key: Buffer.from('x') })))
    await new Promise((resolve) => setTimeout(resolve, 50));
  client.close();
  return {
    address,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await gone;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
