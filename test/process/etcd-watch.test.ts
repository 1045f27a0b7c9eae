import { freeAddresses } from 'varlog/testing';
import { EtcdClient } from '../../apps/kv-store/etcd/etcd.fixture.ts';
import type { WatchResponse } from '../../apps/kv-store/etcd/messages.ts';
import { LocalProcesses } from './local-processes.ts';
import { eventually } from './processes.ts';

const KILLS = Number(process.env['KILLS'] ?? 2);
const BETWEEN_KILLS = 30;
const ALL = { key: Buffer.from('\0'), rangeEnd: Buffer.from('\0') };

/** Watches all keys at one replica after the other, always from where it is on, until it is at `end`. */
class Watcher {
  readonly clients: readonly EtcdClient[];
  readonly seen: { revision: number; type: number; key: string }[] = [];
  at = 0;
  end = Number.POSITIVE_INFINITY;

  constructor(clients: readonly EtcdClient[]) {
    this.clients = clients;
  }

  get revision(): number {
    return this.seen.at(-1)?.revision ?? 1;
  }

  async run(): Promise<void> {
    while (this.revision < this.end) {
      const stream = this.clients[this.at]!.stream('Watch.Watch');
      stream.write({ createRequest: { ...ALL, startRevision: this.revision + 1, watchId: 1 } });
      try {
        for await (const answer of stream as AsyncIterable<WatchResponse>) {
          expect(answer.canceled).toBe(false);
          for (const { type, kv } of answer.events ?? [])
            this.seen.push({ revision: kv.modRevision, type, key: String(kv.key) });
          if (this.revision >= this.end) break;
        }
      } catch {
        this.at = (this.at + 1) % this.clients.length;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }
}

test('a watch of etcd has each revision once, in order, while replicas are killed and leases end', async () => {
  await using processes = new LocalProcesses();
  const addresses = await freeAddresses(9);
  const grpc = addresses.slice(0, 3);
  const http = addresses.slice(3, 6);
  const members = addresses.slice(6).map((address, i) => `${i + 1}=${address}`);
  const replicas = grpc.map((address, i) =>
    processes.program('apps/kv-store/cli.js', [
      ...['serve', '--grpc', address, '--http', http[i]!],
      ...['--directory', processes.folder(`${i}`)],
      ...['--raft', members.join(','), '--member', `${i + 1}`],
    ]),
  );
  processes.startAll();
  const ready = (i: number): Promise<void> =>
    eventually(async () => {
      const reply = await fetch(`http://${http[i]}/readyz`);
      if (!reply.ok) throw new Error(await reply.text());
    });
  for (const i of grpc.keys()) await ready(i);

  const clients = grpc.map((it) => new EtcdClient(it));
  const watcher = new Watcher(clients);
  const watched = watcher.run();
  /** At whichever replica does it; one whose outcome is unknown may have taken effect. */
  const anywhere = async (method: string, request: object) => {
    for (let i = 0; ; i++) {
      const answer = await clients[i % clients.length]!.outcome(method, request);
      if (!('code' in answer)) return answer as { header: { revision: number }; ID: number };
    }
  };
  const { ID: lease } = await anywhere('Lease.LeaseGrant', { TTL: 2 });
  await anywhere('KV.Put', { key: Buffer.from('leased'), lease });
  for (let kills = 0; kills <= KILLS; kills++) {
    for (let i = 0; i < BETWEEN_KILLS; i++)
      await anywhere('KV.Put', { key: Buffer.from(`key-${i % 7}`), value: Buffer.from(`${i}`) });
    if (kills === KILLS) break;
    const victim = watcher.at;
    await replicas[victim]!.end('SIGKILL');
    replicas[victim]!.start();
    await ready(victim);
  }
  await eventually(async () => {
    const { kvs } = (await anywhere('KV.Range', { key: Buffer.from('leased') })) as never;
    expect(kvs).toEqual([]);
  });
  const { header } = await anywhere('KV.Range', ALL);
  watcher.end = header.revision;
  // Whatever it waits for comes with this one.
  await anywhere('KV.Put', { key: Buffer.from('last') });
  await watched;
  const revisions = watcher.seen.map(({ revision }) => revision);
  expect(revisions).toEqual(Array.from({ length: watcher.revision - 1 }, (_, i) => i + 2));
  const ends = watcher.seen.filter(({ type }) => type === 1);
  expect(ends.map(({ key }) => key)).toEqual(['leased']);
  for (const it of clients) it.close();
}, 120_000);
