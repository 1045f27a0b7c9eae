import { measure } from './measure.ts';
import type { Store } from './store.ts';

/** What a client of one member does. */
export interface StoreClient {
  put(key: string, value: string): Promise<unknown>;
  get(key: string): Promise<unknown>;
  close(): void;
}

const VALUE = 'x'.repeat(100);
const READY_MS = 20_000;

/** A store that is reached by gRPC from another process: one connection, to the member that leads. */
export async function grpcStore(
  name: string,
  clients: readonly StoreClient[],
  end: () => Promise<void>,
): Promise<Store> {
  // All of them are up and warm before they are compared, one after the other.
  await Promise.all(clients.map((it) => latencyOf(it)));
  const latencies: number[] = [];
  for (const it of clients) latencies.push(await latencyOf(it));
  const leader = clients[latencies.indexOf(Math.min(...latencies))]!;
  let turn = 0;
  const key = (): string => `key-${turn++ % 10_000}`;
  const work = { put: () => leader.put(key(), VALUE), get: () => leader.get(key()) };
  return {
    name,
    run: (kind, workers, seconds) => measure(work[kind], { workers, seconds }),
    async [Symbol.asyncDispose]() {
      for (const it of clients) it.close();
      await end();
    },
  };
}

/** Of a linearizable get, once the member answers: least at the leader, since the others ask it. */
async function latencyOf(client: StoreClient): Promise<number> {
  const until = performance.now() + READY_MS;
  for (;;) {
    try {
      await client.put('probe', VALUE);
      return (await measure(() => client.get('probe'), { seconds: 1 })).p50Ms;
    } catch (error) {
      if (performance.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
