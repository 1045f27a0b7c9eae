import { etcd } from './etcd.ts';
import { KvMembers } from './kv-members.ts';
import { type Measured, median, type Row, row } from './measure.ts';
import { idleRow } from './process-use.ts';
import { sampleStore } from './sample-store.ts';
import type { Store } from './store.ts';

const WORK = [
  ['put', 1],
  ['put', 64],
  ['put', 256],
  ['get', 1],
  ['get', 256],
] as const;
const ROUNDS = 5;
const ROUND_SECONDS = 1.5;
const WARM_UP_CLIENTS = 16;
const WARM_UP_SECONDS = 3;

/**
 * Three stores side by side, warm and in turns: whatever else the machine does meets all of them. Each figure is the
 * median of the rounds.
 */
export async function storeRows(): Promise<Row[]> {
  await using map = await KvMembers.start();
  const rows = [await idleRow('idle Raft group of 3, all processes', map.pids)];
  await using sample = await sampleStore();
  await using beside = await etcd();
  const stores: Store[] = beside === undefined ? [map, sample] : [map, sample, beside];
  for (const store of stores) {
    for (const kind of ['put', 'get'] as const)
      await store.run(kind, WARM_UP_CLIENTS, WARM_UP_SECONDS);
  }
  for (const [kind, clients] of WORK) {
    const rounds = stores.map((): Measured[] => []);
    for (let i = 0; i < ROUNDS; i++) {
      for (const [at, store] of stores.entries()) {
        rounds[at]!.push(await store.run(kind, clients, ROUND_SECONDS));
      }
    }
    const work = `${kind === 'get' ? 'linearizable get' : 'put'}, ${clients} clients`;
    rows.push(...stores.map((it, at) => row(`${it.name}: ${work}`, median(rounds[at]!))));
  }
  return rows;
}
