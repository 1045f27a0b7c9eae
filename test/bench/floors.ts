import { fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials, Server, ServerCredentials } from '@grpc/grpc-js';
import { measure, type Row, row } from './measure.ts';

/** What this machine can do at best: one write to disk, one round trip on a gRPC stream. */
export async function floors(): Promise<Row[]> {
  return [await diskFloor(), await networkFloor()];
}

async function diskFloor(): Promise<Row> {
  const directory = mkdtempSync(join(tmpdir(), 'varlog-bench-'));
  const file = openSync(join(directory, 'file'), 'w');
  const block = Buffer.alloc(4096, 1);
  let at = 0;
  const measured = await measure(
    async () => {
      writeSync(file, block, 0, block.length, at);
      fdatasyncSync(file);
      at += block.length;
    },
    { seconds: 2 },
  );
  rmSync(directory, { recursive: true });
  return row('floor: write and fdatasync 4 KiB', measured);
}

async function networkFloor(): Promise<Row> {
  const same = (bytes: Buffer): Buffer => bytes;
  const method = {
    path: '/floor.Echo/Echo',
    requestStream: true as const,
    responseStream: true as const,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
  const server = new Server();
  server.addService(
    { Echo: method },
    {
      Echo: (call: {
        on(event: 'data', listener: (it: Buffer) => void): void;
        write(it: Buffer): void;
      }) => call.on('data', (it) => call.write(it)),
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const call = client.makeBidiStreamRequest(method.path, same, same);
  call.on('error', () => {});
  let answered: () => void = () => {};
  call.on('data', () => answered());
  const message = Buffer.alloc(100, 1);
  const measured = await measure(
    () =>
      new Promise<void>((resolve) => {
        answered = resolve;
        call.write(message);
      }),
    { seconds: 2 },
  );
  call.cancel();
  client.close();
  server.forceShutdown();
  return row('floor: round trip on one gRPC stream, within a process', measured);
}
