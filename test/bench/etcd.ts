import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials } from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { freeAddresses } from 'varlog/testing';
import { grpcStore, type StoreClient } from './grpc-store.ts';
import type { Store } from './store.ts';

/** As much of etcd's interface as a put and a get need. */
const { root } = protobuf.parse(`
  syntax = "proto3";
  message PutRequest { bytes key = 1; bytes value = 2; }
  message RangeRequest { bytes key = 1; }
`);

/** etcd, from Debian's package; `undefined` where it is not installed. */
export async function etcd(): Promise<Store | undefined> {
  try {
    execFileSync('etcd', ['--version'], { stdio: 'ignore' });
  } catch {
    process.stderr.write('etcd is not installed (apt-get install etcd-server): no rows of it\n');
    return undefined;
  }
  const directory = mkdtempSync(join(tmpdir(), 'varlog-bench-'));
  const addresses = await freeAddresses(6);
  const clientAddresses = addresses.slice(0, 3);
  const peers = addresses.slice(3).map((it) => `http://${it}`);
  const cluster = peers.map((it, i) => `m${i}=${it}`).join(',');
  const members = clientAddresses.map((clientAddress, i) => {
    const name = `m${i}`;
    const url = `http://${clientAddress}`;
    const flags = [
      ...['--name', name, '--data-dir', join(directory, name), '--logger', 'zap'],
      ...['--log-level', 'error', '--initial-cluster', cluster],
      ...['--listen-peer-urls', peers[i]!, '--initial-advertise-peer-urls', peers[i]!],
      ...['--listen-client-urls', url, '--advertise-client-urls', url],
    ];
    return spawn('etcd', flags, { stdio: 'ignore' });
  });
  const end = async (): Promise<void> => {
    for (const it of members) it.kill('SIGKILL');
    await Promise.all(members.map((it) => new Promise((resolve) => it.once('exit', resolve))));
    rmSync(directory, { recursive: true, force: true });
  };
  return grpcStore('etcd', clientAddresses.map(clientOf), end);
}

function clientOf(address: string): StoreClient {
  const connection = new Client(address, credentials.createInsecure());
  const call = (method: string, type: string, message: object): Promise<unknown> =>
    new Promise((resolve, reject) => {
      connection.makeUnaryRequest(
        `/etcdserverpb.KV/${method}`,
        (it: object) => Buffer.from(root.lookupType(type).encode(it).finish()),
        (it) => it,
        message,
        { deadline: Date.now() + 3_000 },
        (error, reply) => (error === null ? resolve(reply) : reject(error)),
      );
    });
  return {
    put: (key, value) =>
      call('Put', 'PutRequest', { key: Buffer.from(key), value: Buffer.from(value) }),
    get: (key) => call('Range', 'RangeRequest', { key: Buffer.from(key) }),
    close: () => connection.close(),
  };
}
