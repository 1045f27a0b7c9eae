import { Client, credentials, status } from '@grpc/grpc-js';
import { Varlog } from 'varlog/log';
import { freeAddresses } from 'varlog/testing';
import { descriptor as kvDescriptor } from '../../apps/kv-store/gen/descriptor.ts';
import { descriptor } from '../../framework/wire/gen/descriptor.ts';
import { LocalProcesses } from './local-processes.ts';
import { type Draw, type Method, methodsIn } from './odd-messages.ts';
import { eventually } from './processes.ts';

const ROUNDS = 25;
/** What is over by itself is over by then. */
const PATIENCE_MS = 10_000;
/** A stream that waits for more is left then. */
const STREAM_MS = 300;
/** They take the only storage node away, as they should. */
const OBEYED = /\/(UnregisterStorageNode|ReplaceStorageNode)$/;
/** What a mistake of whoever calls must never be taken for. */
const OUR_FAULT: ReadonlySet<number> = new Set([status.UNKNOWN, status.INTERNAL, status.DATA_LOSS]);

/** The same numbers for the same seed. */
function numbers(seed: number): Draw {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

interface Fate {
  readonly path: string;
  readonly code: number;
  readonly details: string;
}

const asIs = (it: Buffer): Buffer => it;

/** One call with odd requests, and how it ended. */
function call(client: Client, { path, isStream, request }: Method, draw: Draw): Promise<Fate> {
  return new Promise((resolve) => {
    const deadline = Date.now() + (isStream ? STREAM_MS : PATIENCE_MS);
    if (!isStream) {
      client.makeUnaryRequest(path, asIs, asIs, request(draw), { deadline }, (failure) =>
        resolve({ path, code: failure?.code ?? status.OK, details: failure?.details ?? '' }),
      );
      return;
    }
    const stream = client.makeBidiStreamRequest(path, asIs, asIs, { deadline });
    stream.on('data', () => {}).on('error', () => {});
    stream.on('status', ({ code, details }) => resolve({ path, code, details }));
    for (let left = 1 + draw(3); left > 0; left--) stream.write(request(draw));
    if (draw(3) > 0) stream.end();
    else if (draw(2) === 0) setImmediate(() => stream.cancel());
  });
}

/** Calls every method over and over, a round at a time; the fates that nobody's requests should have. */
async function callOddly(
  address: string,
  methods: readonly Method[],
  seed: number,
): Promise<Fate[]> {
  const client = new Client(address, credentials.createInsecure());
  const draw = numbers(seed);
  const bad: Fate[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const fates = await Promise.all(methods.map((it) => call(client, it, draw)));
    const isLate = ({ path, code }: Fate): boolean =>
      code === status.DEADLINE_EXCEEDED && !methods.find((it) => it.path === path)!.isStream;
    bad.push(...fates.filter((it) => OUR_FAULT.has(it.code) || isLate(it)));
  }
  client.close();
  return bad;
}

test('odd requests are refused for what they are, or done, and every part goes on', async () => {
  await using processes = new LocalProcesses();
  const [node, http, kvGrpc, kvHttp] = (await freeAddresses(4)) as [string, string, string, string];
  const directory = processes.folder('node');
  const server = processes.node({ listen: node, http, members: `1=${node}`, directory });
  server.start();
  await using varlog = await Varlog.connect({ endpoints: node, timeoutMs: 30_000 });
  await varlog.ready({ storageNodes: 1, timeoutMs: 30_000 });
  const { id } = await varlog.createTopic();
  const store = processes.program('apps/kv-store/cli.js', [
    ...['serve', '--varlog', node, '--topic', String(id), '--grpc', kvGrpc, '--http', kvHttp],
    ...['--directory', processes.folder('kv')],
  ]);
  store.start();
  const isReady = async (address: string): Promise<void> => {
    const reply = await fetch(`http://${address}/readyz`);
    if (!reply.ok) throw new Error(await reply.text());
  };
  await eventually(() => isReady(kvHttp));
  expect(await callOddly(kvGrpc, methodsIn(kvDescriptor), 1)).toEqual([]);
  await isReady(kvHttp);

  const own = methodsIn(descriptor)
    .filter((it) => !OBEYED.test(it.path))
    // The members of a Raft group speak under its name.
    .map((it) => ({ ...it, path: it.path.replace('.raft.Raft/', '.raft.Raft.metadata-1/') }));
  expect(await callOddly(node, own, 2)).toEqual([]);
  await isReady(http);
  const topic = await varlog.createTopic();
  const { glsn } = await topic.append('as ever');
  expect(glsn).toBe(1);
  expect(server.output).not.toMatch(/INVARIANT|INTERNAL|a mistake in this program/);
}, 300_000);
