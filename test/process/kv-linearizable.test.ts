import {
  checkRegisters,
  freeAddresses,
  type Operation,
  type RegisterInput,
  type RegisterOutput,
} from 'varlog/testing';
import { LocalProcesses } from './local-processes.ts';
import { eventually, TestCluster } from './processes.ts';

const KEYS = 4;
const CLIENTS = 6;
const LOAD_MS = 15_000;
/** The load goes on until so many operations were answered, and processes killed. */
const ANSWERS_MIN = 100;
const KILLS_MIN = 4;
/** Only a store that has stopped answering needs longer, also on a busy machine. */
const LOAD_MAX_MS = 180_000;
const KILL_EVERY_MS = 4_000;
const TRY_MS = 3_000;

/** What nobody knows what became of is `unknown`; what the store says it did not do, or was never sent, `failed`. */
type Answer = { output: RegisterOutput } | 'unknown' | 'failed';

/** One request to one replica, tried once. */
async function request(address: string, input: RegisterInput, revision: string): Promise<Answer> {
  const init: RequestInit = { signal: AbortSignal.timeout(TRY_MS) };
  if (input.kind !== 'get') init.method = input.kind === 'delete' ? 'DELETE' : 'PUT';
  if ('value' in input) init.body = input.value;
  if (input.kind === 'cas') init.headers = { 'if-match': revision };
  try {
    const reply = await fetch(`http://${address}/kv/${input.key}`, init);
    const body = await reply.text();
    if (input.kind === 'get' && reply.ok) return { output: body };
    if (input.kind === 'get' && reply.status === 404) return { output: null };
    if (input.kind === 'put' && reply.ok) return { output: null };
    if (reply.ok) return { output: true };
    if (input.kind === 'delete' && reply.status === 404) return { output: false };
    if (input.kind === 'cas' && reply.status === 412) return { output: false };
    const { outcome } = JSON.parse(body) as { outcome?: string };
    return outcome === 'notAppended' ? 'failed' : 'unknown';
  } catch (error) {
    const { code } = ((error as Error).cause ?? {}) as { code?: string };
    return code === 'ECONNREFUSED' ? 'failed' : 'unknown';
  }
}

describe('the key-value store on real processes', () => {
  test.each(['topic', 'Raft group'])(
    'is linearizable while processes are killed, on a %s',
    async (log) => {
      await using processes = new LocalProcesses();
      await using cluster = await TestCluster.start(3);
      const all = await freeAddresses(9);
      const addresses = all.slice(0, 3);
      const members = all.slice(6).map((address, i) => `${i + 1}=${address}`);
      {
        await using varlog = await cluster.connect();
        await varlog.createTopic({ logStreams: 2 });
      }
      const replicas = addresses.map((http, i) =>
        processes.program('apps/kv-store/cli.js', [
          'serve',
          ...['--http', http, '--grpc', all[3 + i]!],
          ...['--directory', processes.folder(String(i))],
          ...(log === 'topic'
            ? ['--varlog', `varlog://${cluster.endpoints.join(',')}/1`]
            : ['--raft', members.join(','), '--member', String(i + 1)]),
        ]),
      );
      for (const it of replicas) it.start();
      for (const it of addresses) {
        await eventually(async () => {
          const reply = await fetch(`http://${it}/readyz`);
          if (!reply.ok) throw new Error(await reply.text());
        });
      }

      const history: Operation<RegisterInput, RegisterOutput>[] = [];
      let failed = 0;
      let answered = 0;
      let kills = 0;
      let turn = 0;
      const start = performance.now();
      const over = (): boolean => {
        const ms = performance.now() - start;
        const enough = answered >= ANSWERS_MIN && kills >= KILLS_MIN;
        return ms >= (enough ? LOAD_MS : LOAD_MAX_MS);
      };
      const client = async (id: number): Promise<void> => {
        while (!over()) {
          const key = `key-${turn++ % KEYS}`;
          const value = `${id}-${turn}`;
          const address = addresses[(id + turn) % addresses.length]!;
          const kind = turn % 5;
          const known = await lookUp(address, key);
          const input: RegisterInput =
            kind < 2
              ? { kind: 'get', key }
              : kind === 2
                ? { kind: 'put', key, value }
                : kind === 3 || known === undefined
                  ? { kind: 'delete', key }
                  : { kind: 'cas', key, from: known.value, value };
          const callMs = performance.now();
          const answer = await request(address, input, known?.revision ?? '');
          if (answer === 'failed') failed++;
          else if (answer === 'unknown') history.push({ input, callMs, returnMs: Infinity });
          else {
            answered++;
            history.push({ input, ...answer, callMs, returnMs: performance.now() });
          }
        }
      };
      const victims = log === 'topic' ? [...replicas, ...cluster.nodes] : replicas;
      const nemesis = async (): Promise<void> => {
        while (!over()) {
          await new Promise((resolve) => setTimeout(resolve, KILL_EVERY_MS));
          const victim = victims[(kills * 2) % victims.length]!;
          await victim.end('SIGKILL');
          kills++;
          await new Promise((resolve) => setTimeout(resolve, 500));
          victim.start();
        }
      };
      await Promise.all([nemesis(), ...Array.from({ length: CLIENTS }, (_, i) => client(i))]);
      await Promise.all(replicas.map((it) => it.end('SIGKILL')));

      const unknown = history.length - answered;
      console.log(`${log}: ${answered} operations answered, ${failed} failed, ${unknown} unknown`);
      expect(answered).toBeGreaterThanOrEqual(ANSWERS_MIN);
      expect(kills).toBeGreaterThanOrEqual(KILLS_MIN);
      expect(checkRegisters(history)).toEqual({ ok: true });
    },
    LOAD_MAX_MS + 120_000,
  );
});

/**
 * What a replica has at the moment, to compare and set against; not part of the history. Values are
 * unique, so that the revision says as much as the value.
 */
async function lookUp(
  address: string,
  key: string,
): Promise<{ value: string; revision: string } | undefined> {
  try {
    const reply = await fetch(`http://${address}/kv/${key}?stale=1`, {
      signal: AbortSignal.timeout(TRY_MS),
    });
    const revision = reply.headers.get('etag');
    return reply.ok && revision !== null ? { value: await reply.text(), revision } : undefined;
  } catch {
    // A replica that is down: slow down, or the history is all failures.
    await new Promise((resolve) => setTimeout(resolve, 100));
    return undefined;
  }
}
