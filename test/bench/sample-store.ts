import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freeAddresses } from 'varlog/testing';
import { KvClient } from '../../apps/kv-store/client.ts';
import { Program } from '../process/processes.ts';
import { grpcStore } from './grpc-store.ts';
import type { Store } from './store.ts';

/** The sample key-value store on a Raft group, with its own client. */
export async function sampleStore(): Promise<Store> {
  const directory = mkdtempSync(join(tmpdir(), 'varlog-bench-'));
  const addresses = await freeAddresses(9);
  const faces = addresses.slice(0, 3);
  const members = addresses.slice(3, 6).map((address, i) => `${i + 1}=${address}`);
  const programs = faces.map(
    (grpc, i) =>
      new Program('apps/kv-store/cli.js', [
        ...['serve', '--grpc', grpc, '--http', addresses[6 + i]!],
        ...['--directory', join(directory, `${i + 1}`)],
        ...['--raft', members.join(','), '--member', `${i + 1}`],
      ]),
  );
  for (const it of programs) it.start();
  const end = async (): Promise<void> => {
    await Promise.all(programs.map((it) => it.end('SIGKILL')));
    rmSync(directory, { recursive: true, force: true });
  };
  const clients = faces.map((it) => new KvClient([it]));
  return grpcStore('sample key-value store over gRPC', clients, end);
}
