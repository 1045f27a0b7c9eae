import { VarlogError } from 'varlog/log';
import { type TransactionStore, transactions } from 'varlog/smr';
import {
  checkListAppend,
  freeAddresses,
  type ListOperation,
  type ListTransaction,
} from 'varlog/testing';
import { RemoteTransactions } from '../../apps/txn-log/transactions/client.ts';
import { LocalProcesses } from './local-processes.ts';
import { eventually, TestCluster } from './processes.ts';

const LISTS = ['x', 'y', 'z'];
const ACCOUNTS = ['a', 'b', 'c', 'd'];
const START_BALANCE = 100;
const CLIENTS = 4;
/** For longer runs: milliseconds. */
const LOAD_MS = Number(process.env['LOAD_MS'] ?? 5_000);
/** The load goes on until so many were committed, and processes killed. */
const COMMITS_MIN = 30;
const KILLS_MIN = 3;
/** Only a service that has stopped answering needs longer, also on a busy machine. */
const LOAD_MAX_MS = LOAD_MS + 120_000;
/** The next is killed after so many more were committed: on a busy machine all would be starting for ever. */
const COMMITS_BETWEEN = 8;
const CALL_MS = 3_000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const isUncertain = (error: unknown): boolean =>
  VarlogError.is(error) && error.outcome === 'unknown';

describe('transactions on real processes', () => {
  test(
    'are strictly serializable, and no money is made or lost, while processes are killed',
    async () => {
      await using processes = new LocalProcesses();
      await using cluster = await TestCluster.start(3);
      const addresses = await freeAddresses(3);
      {
        await using varlog = await cluster.connect();
        await varlog.createTopic({ logStreams: 2 });
      }
      const service = (i: number): string[] => [
        ...['transactions', 'serve', '--http', addresses[i]!],
        ...['--directory', processes.folder(String(i))],
        ...['--varlog', `varlog://${cluster.endpoints.join(',')}/1`],
      ];
      const replicas = addresses.map((_, i) =>
        processes.program('apps/txn-log/cli.js', service(i)),
      );
      for (const it of replicas) it.start();
      for (const it of addresses) {
        await eventually(async () => {
          const reply = await fetch(`http://${it}/readyz`);
          if (!reply.ok) throw new Error(await reply.text());
        });
      }
      const stores = addresses.map((it) => transactions(new RemoteTransactions(it)));
      await stores[0]!.transact(async (transaction) => {
        for (const it of ACCOUNTS) transaction.put(it, String(START_BALANCE));
      });

      const history: ListTransaction[] = [];
      const lost: { id: string; since: number; index: number }[] = [];
      const sums = new Set<number>();
      let [turn, kills, committed] = [0, 0, 0];
      const start = performance.now();
      const over = (): boolean => {
        const ms = performance.now() - start;
        const enough = committed >= COMMITS_MIN && kills >= KILLS_MIN;
        return ms >= (enough ? LOAD_MS : LOAD_MAX_MS);
      };

      const append = async (store: TransactionStore, id: string, count: number): Promise<void> => {
        const operations: ListOperation[] = [];
        const callMs = performance.now();
        const entry = { operations, callMs, returnMs: Infinity, outcome: 'unknown' as const };
        const index = history.push(entry) - 1;
        let since = 0;
        try {
          const transaction = await store.begin({ id, timeoutMs: CALL_MS });
          since = transaction.since;
          for (let i = 0; i < 2; i++) {
            const key = LISTS[(count + i) % LISTS.length]!;
            const values = JSON.parse((await transaction.get(key)) ?? '[]') as string[];
            operations.push({ kind: 'read', key, values });
            if (count % 2 < i) continue;
            operations.push({ kind: 'append', key, value: id });
            transaction.put(key, JSON.stringify([...values, id]));
          }
          await transaction.commit();
          committed++;
          history[index] = { ...entry, returnMs: performance.now(), outcome: 'committed' };
        } catch (error) {
          if (VarlogError.is(error, 'UNREACHABLE')) await pause(200);
          if (isUncertain(error)) lost.push({ id, since, index });
          else history[index] = { ...entry, returnMs: performance.now(), outcome: 'aborted' };
        }
      };

      const transfer = async (store: TransactionStore, count: number): Promise<void> => {
        const [from, to] = [count % ACCOUNTS.length, (count * 3 + 1) % ACCOUNTS.length];
        const balances = await store.transact(
          async (transaction) => {
            const read: number[] = [];
            for (const it of ACCOUNTS) read.push(Number(await transaction.get(it)));
            if (from !== to && read[from]! > 0) {
              transaction.put(ACCOUNTS[from]!, String(read[from]! - 1));
              transaction.put(ACCOUNTS[to]!, String(read[to]! + 1));
            }
            return read;
          },
          { attemptsMax: 10, timeoutMs: CALL_MS, backoff: (n) => pause(n * 5 * Math.random()) },
        );
        sums.add(balances.reduce((a, b) => a + b, 0));
      };

      const client = async (id: number): Promise<void> => {
        while (!over()) {
          const count = turn++;
          const store = stores[(id + count) % stores.length]!;
          if (count % 2 === 0) await append(store, `${id}-${count}`, count >> 1);
          // Its sum is what counts; whether it took effect is told by nobody.
          else
            await transfer(store, count >> 1).catch(async (error) => {
              expect(VarlogError.is(error)).toBe(true);
              // One that is down: who asks again and again keeps it from starting.
              if (VarlogError.is(error, 'UNREACHABLE')) await pause(200);
            });
        }
      };
      // A node of the cluster now and then: while it comes back, the log stands still for a while.
      const victims = [...replicas, cluster.nodes[0]!];
      const nemesis = async (): Promise<void> => {
        while (!over()) {
          const target = committed + COMMITS_BETWEEN;
          while (committed < target && !over()) await pause(20);
          const victim = victims[kills % victims.length]!;
          await victim.end('SIGKILL');
          kills++;
          await pause(300);
          victim.start();
        }
      };
      await Promise.all([nemesis(), ...Array.from({ length: CLIENTS }, (_, i) => client(i))]);

      for (const { id, since, index } of lost) {
        const { state } = await eventually(() => stores[kills % 3]!.outcome(id, { since }));
        history[index] = {
          ...history[index]!,
          outcome: state === 'committed' ? 'committed' : 'aborted',
        };
      }
      await eventually(() => transfer(stores[0]!, 0));
      console.log(
        `${committed} committed, ${lost.length} without an answer, ${history.length} in all`,
      );
      expect(committed).toBeGreaterThanOrEqual(COMMITS_MIN);
      expect(kills).toBeGreaterThanOrEqual(KILLS_MIN);
      expect([...sums]).toEqual([ACCOUNTS.length * START_BALANCE]);
      expect(checkListAppend(history)).toEqual([]);

      const command = async (...args: string[]): Promise<string> => {
        const program = processes.program('apps/txn-log/cli.js', [
          ...['transactions', '--service', addresses[0]!, ...args],
        ]);
        program.start();
        return `${await program.ended()} ${program.output.trim()}`;
      };
      expect(await command('set', 'greeting=hello', '--id', 'greet')).toBe('0 done');
      // They change nothing: most of their time is that of processes that start.
      const [got, refused, outcome] = await Promise.all([
        command('get', 'greeting', 'none'),
        command('set', 'greeting=', '--if', 'greeting=bye'),
        command('outcome', 'greet'),
      ]);
      expect(got).toBe('0 {"key":"greeting","value":"hello"}\n{"key":"none","value":null}');
      expect(refused).toMatch(/^5 refused/);
      expect(outcome).toMatch(/^0 {"state":"committed"/);
    },
    LOAD_MAX_MS + 120_000,
  );
});
