import { freeAddresses } from 'varlog/testing';
import { KvClient } from '../../apps/kv-store/client.ts';
import { LocalProcesses } from '../process/local-processes.ts';
import { grpcStore } from './grpc-store.ts';
import type { Store } from './store.ts';

/** The sample key-value store on a Raft group, with its own client. */
export async function sampleStore(): Promise<Store> {
  const processes = new LocalProcesses();
  const addresses = await freeAddresses(9);
  const clientAddresses = addresses.slice(0, 3);
  const members = addresses.slice(3, 6).map((address, i) => `${i + 1}=${address}`);
  for (const [i, grpc] of clientAddresses.entries()) {
    processes.program('apps/kv-store/cli.js', [
      ...['serve', '--grpc', grpc, '--http', addresses[6 + i]!],
      ...['--directory', processes.folder(`${i + 1}`)],
      ...['--raft', members.join(','), '--member', `${i + 1}`],
    ]);
  }
  processes.startAll();
  const end = (): Promise<void> => processes[Symbol.asyncDispose]();
  const clients = clientAddresses.map((it) => new KvClient([it]));
  return grpcStore('sample key-value store over gRPC', clients, end);
}
