import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { Varlog } from 'varlog/log';
import { freeAddresses } from 'varlog/testing';
import { LocalProcesses, type Program } from './local-processes.ts';
import { eventually } from './processes.ts';

/** Whatever is not answered after so long is let go of. */
const PATIENCE_MS = 300;
const ROUNDS = 150;

const head = (line: string, ...headers: string[]): string =>
  [line, 'Host: x', ...headers, '', ''].join('\r\n');

const REQUESTS = [
  head('GET // HTTP/1.1'),
  head('GET //// HTTP/1.1'),
  head('GET http:// HTTP/1.1'),
  head('GET http://[ HTTP/1.1'),
  head('GET http://x:99999/ HTTP/1.1'),
  head('GET nonsense HTTP/1.1'),
  head('OPTIONS * HTTP/1.1'),
  head('CONNECT x:1 HTTP/1.1'),
  head('GET /?%%%=%ff&=& HTTP/1.1'),
  head('GET /kv/%ff HTTP/1.1'),
  head('GET /kv/%ed%a0%80 HTTP/1.1'),
  head('GET /kv/%00 HTTP/1.1'),
  head('GET /watch?from=99999999999999999999 HTTP/1.1'),
  head('GET /watch HTTP/1.1', 'Last-Event-ID: \xff'),
  head('GET /accounts/%ff HTTP/1.1'),
  head('GET /sql?query=DROP%20TABLE%20account HTTP/1.1'),
  head('PUT /kv/a HTTP/1.1', 'If-Match: \xff"', 'Content-Length: 1'),
  `${head('PUT /kv/a HTTP/1.1', 'Idempotency-Key: \xff', 'Content-Length: 1')}x`,
  `${head('PUT /kv/a HTTP/1.1', 'Content-Length: 1000')}cut off`,
  head('PUT /kv/a HTTP/1.1', 'Content-Length: -1'),
  head('PUT /kv/a HTTP/1.1', 'Content-Length: 1', 'Transfer-Encoding: chunked'),
  `${head('PUT /kv/a HTTP/1.1', 'Transfer-Encoding: chunked')}zz\r\nno chunk`,
  head('PUT /kv/a HTTP/1.1', 'Expect: 100-continue', 'Content-Length: 5'),
  head('PUT /kv/a HTTP/1.1', 'Expect: nothing', 'Content-Length: 5'),
  `${head('PUT /kv/a HTTP/1.1', 'Content-Length: 2000000')}${'x'.repeat(900_000)}`,
  `${head('POST /transfers HTTP/1.1', 'Content-Length: 4')}null`,
  `${head('POST /transfers HTTP/1.1', 'Content-Length: 2')}[]`,
  `${head('POST /transfers HTTP/1.1', 'Content-Length: 17')}{"postings":[1,2]}`,
  `${head('POST /accounts HTTP/1.1', 'Content-Length: 15')}{"account":[{}]}`,
  head('GET /metrics HTTP/1.1', 'Upgrade: websocket', 'Connection: Upgrade'),
  head(`GET /${'x'.repeat(70_000)} HTTP/1.1`),
  head('GET / HTTP/1.1', `X: ${'x'.repeat(70_000)}`),
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  '\x16\x03\x01\x02\x00\x01\x00\x01\xfc',
  '\r\n\r\n\r\n',
  'GET',
];

/** Numbers from 0 to `limit - 1`, the same ones for the same seed. */
function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

function noise(next: (limit: number) => number, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => next(256)));
}

/** A request with some of its bytes changed, or cut. */
function mutated(next: (limit: number) => number): Buffer {
  const bytes = Buffer.from(REQUESTS[next(REQUESTS.length)]!, 'latin1');
  for (let i = 0; i < 4; i++) bytes[next(Math.min(bytes.length, 100))] = next(256);
  return bytes.subarray(0, 1 + next(bytes.length));
}

/** Sends the bytes and leaves: politely, half-way, or without a word. */
function send(address: string, bytes: Buffer, leave: 'end' | 'destroy' | 'reset'): Promise<void> {
  const [host = '', port] = address.split(':');
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port), allowHalfOpen: true });
    const timer = setTimeout(() => {
      if (leave === 'reset') socket.resetAndDestroy();
      else socket.destroy();
    }, PATIENCE_MS);
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(timer);
      resolve();
    });
    socket.resume();
    socket.write(bytes);
    if (leave === 'end') socket.end();
    if (leave === 'destroy') setImmediate(() => socket.destroy());
  });
}

const METHODS = [
  ...['Put', 'Get', 'Delete', 'CompareAndSet', 'List', 'Session', 'Watch', 'None'].map(
    (it) => `/kv.KeyValue/${it}`,
  ),
  ...['KV/Txn', 'KV/Range', 'Watch/Watch', 'Lease/LeaseGrant', 'Lease/LeaseKeepAlive'].map(
    (it) => `/etcdserverpb.${it}`,
  ),
  '/grpc.health.v1.Health/Check',
  '/grpc.health.v1.Health/Watch',
  '/varlogpb.LogIO/Append',
  '/snpb.LogIO/Append',
  '/snpb.LogIO/Subscribe',
  '/mrpb.MetadataRepositoryService/GetMetadata',
  '/varlog.log.Ordering/Session',
  '/varlog.raft.Raft/Connect',
  '/',
  '//',
  '/%',
];

/** One call on a connection of HTTP/2, whose messages are noise. */
function callWithNoise(
  session: ClientHttp2Session,
  path: string,
  next: (limit: number) => number,
): Promise<void> {
  return new Promise((resolve) => {
    const content = noise(next, next(60));
    const prefix = Buffer.alloc(5);
    prefix[0] = next(8) === 0 ? 1 : 0;
    prefix.writeUInt32BE(next(6) === 0 ? next(2 ** 31) : content.length, 1);
    const stream = session.request({
      ':path': path,
      ':method': next(10) === 0 ? 'GET' : 'POST',
      te: 'trailers',
      'content-type': next(8) === 0 ? 'text/plain' : 'application/grpc',
      ...(next(6) === 0 && { 'grpc-timeout': 'never' }),
      ...(next(6) === 0 && { 'grpc-encoding': 'gzip' }),
      ...(next(6) === 0 && { 'x-bin': '%%%' }),
    });
    const timer = setTimeout(() => stream.close(8), PATIENCE_MS);
    stream.on('error', () => {});
    stream.on('close', () => {
      clearTimeout(timer);
      resolve();
    });
    stream.resume();
    stream.write(Buffer.concat([prefix, content]));
    if (next(3) > 0) stream.end();
    else if (next(2) === 0) stream.close(next(14));
  });
}

async function throwNoiseAt(address: string, seed: number): Promise<void> {
  const next = numbers(seed);
  const leave = ['end', 'destroy', 'reset'] as const;
  const inputs = [
    ...REQUESTS.map((it) => Buffer.from(it, 'latin1')),
    ...Array.from({ length: ROUNDS }, () => mutated(next)),
    ...Array.from({ length: 20 }, () => noise(next, 1 + next(200))),
  ];
  for (let i = 0; i < inputs.length; i += 25) {
    const some = inputs.slice(i, i + 25);
    await Promise.all(some.map((it) => send(address, it, leave[next(3)]!)));
  }
}

async function callInVain(address: string, seed: number): Promise<void> {
  const next = numbers(seed);
  for (const round of Array(10).keys()) {
    const session = connectHttp2(`http://${address}`);
    session.on('error', () => {});
    const calls = METHODS.flatMap((it) => [it, it]).map((it) => callWithNoise(session, it, next));
    // Some connections go while calls are under way.
    if (round % 3 === 2) session.destroy();
    await Promise.all(calls);
    session.destroy();
  }
}

describe('whatever a stranger sends', () => {
  test('no process ends, and each goes on to do its work', async () => {
    await using processes = new LocalProcesses();
    const [node, nodeHttp, kvGrpc, kvHttp, ledgerHttp] = await freeAddresses(5);
    const programs = [
      processes.node({
        ...{ 'node-id': 1, listen: node!, members: `1=${node}`, http: nodeHttp! },
        directory: processes.folder('node'),
      }),
      processes.program('apps/kv-store/cli.js', [
        ...['serve', '--varlog', node!, '--topic', '1', '--grpc', kvGrpc!, '--http', kvHttp!],
        ...['--directory', processes.folder('kv')],
      ]),
      processes.program('apps/txn-log/cli.js', [
        ...['serve', '--varlog', node!, '--topic', '2', '--http', ledgerHttp!],
        ...['--directory', processes.folder('ledger')],
      ]),
    ];
    const ended = new Set<Program>();
    const startAndWatch = (program: Program): void => {
      program.start();
      void program.ended().then(() => ended.add(program));
    };
    startAndWatch(programs[0]!);
    const varlog = await Varlog.connect({ endpoints: [node!], timeoutMs: 30_000 });
    await varlog.ready({ storageNodes: 1, timeoutMs: 30_000 });
    for (let i = 0; i < 2; i++) await varlog.createTopic({ logStreams: 1 });
    await varlog.close();
    for (const it of programs.slice(1)) startAndWatch(it);
    const answers = async (): Promise<void> => {
      for (const http of [nodeHttp, kvHttp, ledgerHttp]) {
        const reply = await fetch(`http://${http}/readyz`);
        if (!reply.ok) throw new Error(await reply.text());
      }
    };
    await eventually(answers);
    await fetch(`http://${kvHttp}/kv/kept`, { method: 'PUT', body: 'value' });

    const addresses = [node!, nodeHttp!, kvGrpc!, kvHttp!, ledgerHttp!];
    await Promise.all([
      ...addresses.map((it, i) => throwNoiseAt(it, i + 1)),
      ...[node!, kvGrpc!].map((it, i) => callInVain(it, 100 + i)),
    ]);

    const endings = programs.filter((it) => ended.has(it)).map((it) => it.output);
    expect(endings).toEqual([]);
    await answers();
    expect(await (await fetch(`http://${kvHttp}/kv/kept`)).text()).toBe('value');
    expect((await fetch(`http://${ledgerHttp}/accounts`)).status).toBe(200);
    await Promise.all(programs.map((it) => it.end('SIGTERM')));
  }, 120_000);
});
