import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials } from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { freePorts } from '../process/processes.ts';
import { measure, type Row, row } from './measure.ts';

/** As much of etcd's interface as a put and a get need. */
const { root } = protobuf.parse(`
  syntax = "proto3";
  message PutRequest { bytes key = 1; bytes value = 2; }
  message RangeRequest { bytes key = 1; }
`);

/** etcd beside it, from Debian's package, in the same run; no rows where it is not installed. */
export async function etcdRows(): Promise<Row[]> {
  try {
    execFileSync('etcd', ['--version'], { stdio: 'ignore' });
  } catch {
    return [{ work: 'etcd', rate: 'not installed (apt-get install etcd-server)' }];
  }
  const directory = mkdtempSync(join(tmpdir(), 'varlog-bench-'));
  const ports = await freePorts(6);
  const clients = ports.slice(0, 3).map((port) => `127.0.0.1:${port}`);
  const members = startEtcd(directory, clients, ports.slice(3));
  const connections = clients.map((it) => new Client(it, credentials.createInsecure()));
  try {
    const leader = await findLeader(connections);
    const call = (path: string, type: string, message: object): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const encode = (it: object): Buffer =>
          Buffer.from(root.lookupType(type).encode(it).finish());
        leader.makeUnaryRequest(
          path,
          encode,
          (it) => it,
          message,
          (error, reply) => (error === null ? resolve(reply) : reject(error)),
        );
      });
    let turn = 0;
    const key = (): Buffer => Buffer.from(`key-${turn++ % 10_000}`);
    const value = Buffer.alloc(100, 'x');
    const put = (): Promise<unknown> =>
      call('/etcdserverpb.KV/Put', 'PutRequest', { key: key(), value });
    const get = (): Promise<unknown> =>
      call('/etcdserverpb.KV/Range', 'RangeRequest', { key: key() });
    const rows: Row[] = [];
    for (const workers of [1, 64, 256]) {
      rows.push(row(`etcd, 3 members: put, ${workers} clients`, await measure(put, { workers })));
    }
    for (const workers of [1, 256]) {
      const measured = await measure(get, { workers });
      rows.push(row(`etcd: linearizable get, ${workers} clients`, measured));
    }
    return rows;
  } finally {
    for (const it of connections) it.close();
    for (const it of members) it.kill('SIGKILL');
    await Promise.all(members.map((it) => new Promise((resolve) => it.once('exit', resolve))));
    rmSync(directory, { recursive: true, force: true });
  }
}

function startEtcd(directory: string, clients: string[], peerPorts: number[]): ChildProcess[] {
  const peers = peerPorts.map((port) => `http://127.0.0.1:${port}`);
  const cluster = peers.map((it, i) => `m${i}=${it}`).join(',');
  return clients.map((client, i) =>
    spawn(
      'etcd',
      [
        ...['--name', `m${i}`, '--data-dir', join(directory, `m${i}`), '--logger', 'zap'],
        ...['--log-level', 'error', '--initial-cluster', cluster],
        ...['--listen-peer-urls', peers[i]!, '--initial-advertise-peer-urls', peers[i]!],
        ...[
          '--listen-client-urls',
          `http://${client}`,
          '--advertise-client-urls',
          `http://${client}`,
        ],
      ],
      { stdio: 'ignore' },
    ),
  );
}

/** Any member that takes a put; the first one is tried until the group has elected. */
async function findLeader(connections: Client[]): Promise<Client> {
  const probe = root.lookupType('PutRequest');
  for (let tries = 0; tries < 200; tries++) {
    const works = await new Promise<boolean>((resolve) => {
      const message = { key: Buffer.from('probe'), value: Buffer.from('1') };
      connections[0]!.makeUnaryRequest(
        '/etcdserverpb.KV/Put',
        (it: object) => Buffer.from(probe.encode(it).finish()),
        (it) => it,
        message,
        { deadline: Date.now() + 2_000 },
        (error) => resolve(error === null),
      );
    });
    if (works) return connections[0]!;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('etcd did not become ready');
}
