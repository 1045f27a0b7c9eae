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
const WARM_UP_SECONDS = 1;
const PROBE_SECONDS = 0.2;
const PROBES = 3;

/** A store that is reached by gRPC from another process: one connection, to the member that leads. */
export async function grpcStore(
  name: string,
  clients: readonly StoreClient[],
  end: () => Promise<void>,
): Promise<Store> {
  // All of them are up and warm before they are compared.
  await Promise.all(clients.map((it) => ready(it)));
  await Promise.all(clients.map((it) => latencyOf(it, WARM_UP_SECONDS)));
  let turn = 0;
  const key = (): string => `key-${turn++ % 10_000}`;
  return {
    name,
    async run(kind, workers, seconds) {
      // Found anew each time: on a busy machine another member may have been elected meanwhile.
      const leader = await leaderOf(clients);
      const once = { put: () => leader.put(key(), VALUE), get: () => leader.get(key()) };
      return measure(once[kind], { workers, seconds });
    },
    async [Symbol.asyncDispose]() {
      for (const it of clients) it.close();
      await end();
    },
  };
}

async function ready(client: StoreClient): Promise<void> {
  const until = performance.now() + READY_MS;
  for (;;) {
    try {
      await client.put('probe', VALUE);
      return;
    } catch (error) {
      if (performance.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** The member that answers a linearizable get soonest: the others ask it. */
async function leaderOf(clients: readonly StoreClient[]): Promise<StoreClient> {
  const best = clients.map(() => Number.POSITIVE_INFINITY);
  for (let probe = 0; probe < PROBES; probe++) {
    for (const [at, it] of clients.entries())
      best[at] = Math.min(best[at]!, await latencyOf(it, PROBE_SECONDS));
  }
  return clients[best.indexOf(Math.min(...best))]!;
}

/** Median latency of a linearizable get. */
async function latencyOf(client: StoreClient, seconds: number): Promise<number> {
  return (await measure(() => client.get('probe'), { seconds })).p50Ms;
}
