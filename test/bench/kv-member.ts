import { tuneGarbageCollection } from 'varlog/node';
import { openRaftGroup } from 'varlog/raft';
import { type StateMachine, startReplica } from 'varlog/smr';
import { measure } from './measure.ts';

/**
 * One member of a replicated map. Started with its id, the members and a directory; on the message `run` it
 * drives itself, if it leads, as a service under load would, and sends back what it measured.
 */
type Put = [key: string, value: string];

class PlainMap implements StateMachine<Put, number, Put[]> {
  private items = new Map<string, string>();
  apply([key, value]: Put): number {
    this.items.set(key, value);
    return this.items.size;
  }
  get(key: string): string | undefined {
    return this.items.get(key);
  }
  snapshot(): Put[] {
    return [...this.items];
  }
  restore(items: Put[]): void {
    this.items = new Map(items);
  }
}

tuneGarbageCollection();
const [, , id, addresses, directory, snapshotEvery] = process.argv;
const members = addresses!.split(',').map((address, i) => ({ id: i + 1, address }));
const node = await openRaftGroup({
  groupId: 'bench',
  memberId: Number(id),
  members,
  directory: directory!,
});
const replica = await startReplica({
  machine: new PlainMap(),
  log: node.group,
  ...(snapshotEvery ? { snapshotEvery: Number(snapshotEvery) } : {}),
});
const VALUE = 'x'.repeat(100);

interface Work {
  kind: 'put' | 'get';
  clients: number;
  seconds: number;
}

process.on('message', ({ kind, clients, seconds }: Work) => {
  if (node.group.status.role !== 'leader') {
    process.send!({ leads: false });
    return;
  }
  let turn = 0;
  const put = (): Promise<unknown> => replica.execute([`key-${turn++ % 10_000}`, VALUE]);
  const get = (): Promise<unknown> => replica.query((it) => it.get(`key-${turn++ % 10_000}`));
  measure(kind === 'put' ? put : get, { workers: clients, seconds }).then(
    (measured) => process.send!({ leads: true, measured }),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.once('disconnect', () => process.exit(0));
process.send!({ ready: true });
