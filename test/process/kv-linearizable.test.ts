import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  checkLinearizable,
  freeAddresses,
  type Operation,
  type SequentialModel,
} from 'varlog/testing';
import { eventually, Program, TestCluster } from './processes.ts';

const KEYS = 4;
const CLIENTS = 6;
const LOAD_MS = 15_000;
const KILL_EVERY_MS = 2_500;
const TRY_MS = 3_000;

type Input =
  | { op: 'get'; key: string }
  | { op: 'put'; key: string; value: string }
  | { op: 'delete'; key: string }
  /** Values are unique, so the revision of `expected` is as good as its value. */
  | { op: 'compareAndSet'; key: string; expected: string; value: string };
type Output = { value?: string; done?: boolean };

const NOTHING = '';

const map: SequentialModel<string, Input, Output> = {
  initial: NOTHING,
  partition: ({ key }) => key,
  key: (state) => state,
  step: (state, input, output) => {
    if (input.op === 'get') {
      return output === undefined || (output.value ?? NOTHING) === state ? state : undefined;
    }
    if (input.op === 'put') return input.value;
    const fits = input.op === 'delete' ? state !== NOTHING : state === input.expected;
    if (output !== undefined && output.done !== fits) return undefined;
    if (!fits) return state;
    return input.op === 'delete' ? NOTHING : input.value;
  },
};

/** One request to one replica, tried once. Throws when nobody knows what became of it. */
async function request(address: string, input: Input, revision: string): Promise<Output> {
  const url = `http://${address}/kv/${input.key}`;
  const signal = AbortSignal.timeout(TRY_MS);
  if (input.op === 'get') {
    const reply = await fetch(url, { signal });
    if (reply.status === 404) return {};
    if (!reply.ok) throw new Error(await reply.text());
    return { value: await reply.text() };
  }
  if (input.op === 'delete') {
    const reply = await fetch(url, { method: 'DELETE', signal });
    if (reply.status !== 404 && !reply.ok) throw new Error(await reply.text());
    return { done: reply.ok };
  }
  const headers: Record<string, string> = input.op === 'put' ? {} : { 'if-match': revision };
  const reply = await fetch(url, { method: 'PUT', body: input.value, headers, signal });
  if (reply.status !== 412 && !reply.ok) throw new Error(await reply.text());
  return input.op === 'put' ? {} : { done: reply.ok };
}

describe('the key-value store on real processes', () => {
  test.each(['topic', 'Raft group'])(
    'is linearizable while processes are killed, on a %s',
    async (log) => {
      const directory = mkdtempSync(join(tmpdir(), 'varlog-kv-'));
      await using cluster = await TestCluster.start(3);
      const all = await freeAddresses(9);
      const addresses = all.slice(0, 3);
      const members = all.slice(6).map((address, i) => `${i + 1}=${address}`);
      {
        await using varlog = await cluster.connect();
        await varlog.createTopic({ logStreams: 2 });
      }
      const replicas = addresses.map(
        (http, i) =>
          new Program('apps/kv-store/cli.js', [
            'serve',
            ...['--http', http, '--grpc', all[3 + i]!],
            ...['--directory', join(directory, String(i))],
            ...(log === 'topic'
              ? ['--varlog', cluster.endpoints.join(','), '--topic', '1']
              : ['--raft', members.join(','), '--member', String(i + 1)]),
          ]),
      );
      for (const it of replicas) it.start();
      for (const it of addresses) await eventually(() => fetch(`http://${it}/readyz`));

      const history: Operation<Input, Output>[] = [];
      const until = performance.now() + LOAD_MS;
      let turn = 0;
      const client = async (id: number): Promise<void> => {
        while (performance.now() < until) {
          const input = { key: `key-${turn++ % KEYS}`, value: `${id}-${turn}` };
          const address = addresses[(id + turn) % addresses.length]!;
          const known = await lookUp(address, input.key);
          const kind = turn % 5;
          const chosen: Input =
            kind < 2
              ? { op: 'get', key: input.key }
              : kind === 2
                ? { op: 'put', ...input }
                : kind === 3 || known === undefined
                  ? { op: 'delete', key: input.key }
                  : { op: 'compareAndSet', ...input, expected: known.value };
          const callMs = performance.now();
          try {
            const output = await request(address, chosen, known?.revision ?? '');
            history.push({ input: chosen, output, callMs, returnMs: performance.now() });
          } catch {
            history.push({ input: chosen, callMs, returnMs: Number.POSITIVE_INFINITY });
          }
        }
      };
      const victims = log === 'topic' ? [...replicas, ...cluster.nodes] : replicas;
      const nemesis = async (): Promise<void> => {
        for (let i = 0; performance.now() < until - KILL_EVERY_MS; i++) {
          await new Promise((resolve) => setTimeout(resolve, KILL_EVERY_MS));
          const victim = victims[(i * 2) % victims.length]!;
          await victim.end('SIGKILL');
          setTimeout(() => victim.start(), 500);
        }
      };
      await Promise.all([nemesis(), ...Array.from({ length: CLIENTS }, (_, i) => client(i))]);
      await new Promise((resolve) => setTimeout(resolve, 600));
      await Promise.all(replicas.map((it) => it.end('SIGKILL')));
      rmSync(directory, { recursive: true });

      const answered = history.filter((it) => it.output !== undefined).length;
      console.log(`${log}: ${history.length} operations, ${answered} answered`);
      expect(answered).toBeGreaterThan(100);
      // A read that nobody answered says nothing.
      const telling = history.filter((it) => it.output !== undefined || it.input.op !== 'get');
      expect(checkLinearizable(map, telling)).toEqual({ ok: true });
    },
    120_000,
  );
});

/** What a replica has at the moment, to compare and set against; not part of the history. */
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
