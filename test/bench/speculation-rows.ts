import type { Varlog } from 'varlog/log';
import { type StateMachine, startReplica, VersionedMap } from 'varlog/smr';
import { Latencies, measure, type Row, row } from './measure.ts';

const KEYS = 10_000;
const CLIENTS = 100;

class Tallies implements StateMachine<string, number, [string, number][]> {
  counts = new VersionedMap<string, number>();
  apply(key: string): number {
    const count = (this.counts.get(key) ?? 0) + 1;
    this.counts.set(key, count);
    return count;
  }
  fork(): Tallies {
    const fork = new Tallies();
    fork.counts = this.counts.fork();
    return fork;
  }
  snapshot(): [string, number][] {
    return [...this.counts];
  }
  restore(counts: [string, number][]): void {
    this.counts = new VersionedMap(counts);
  }
}

/** When commands are answered, tentatively and for good, at one of three replicas: the same commands in one run. */
export async function speculationRows(varlog: Varlog, label: string): Promise<Row[]> {
  const log = await varlog.createTopic({ logStreams: 1 });
  const start = () => startReplica({ machine: new Tallies(), log });
  const replicas = await Promise.all([start(), start(), start()]);
  const rows: Row[] = [];
  for (const workers of [1, CLIENTS]) {
    const tentative = new Latencies();
    let turn = 0;
    const once = async (): Promise<void> => {
      const begin = performance.now();
      const { settled } = await replicas[0]!.speculate(`key ${turn++ % KEYS}`);
      tentative.add(performance.now() - begin);
      await settled;
    };
    const final = await measure(once, { workers });
    const { perSecond } = final;
    const { p50Ms, p99Ms } = tentative;
    const work = `${workers} × speculate`;
    rows.push(
      row(`${work}, tentative answer, ${label}`, { perSecond, p50Ms, p99Ms }),
      row(`${work}, final answer, ${label}`, final),
    );
  }
  for (const it of replicas) await it.close();
  return rows;
}
