import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  BATCH_BYTES_MAX,
  type ErrorCode,
  RECORD_BYTES_MAX,
  type Topic,
  Varlog,
  VarlogError,
} from 'varlog/log';
import { freeAddresses } from 'varlog/testing';
import { LocalProcesses } from './local-processes.ts';
import { TestCluster } from './processes.ts';

async function errorOf(work: () => unknown): Promise<VarlogError> {
  try {
    await work();
  } catch (error) {
    if (VarlogError.is(error)) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

async function readAll(topic: Topic, from: number): Promise<void> {
  for await (const _ of topic.read({ from })) {
    // Only whether it fails is of interest.
  }
}

describe('what a client must not ask for', () => {
  let cluster: TestCluster;
  let varlog: Varlog;
  let topic: Topic;

  beforeAll(async () => {
    cluster = await TestCluster.start(1);
    varlog = await cluster.connect();
    topic = await varlog.createTopic({ logStreams: 1 });
    await topic.append(['one', 'two', 'three']);
    await topic.trim(1);
  }, 30_000);

  afterAll(async () => {
    await varlog.close();
    await cluster[Symbol.asyncDispose]();
  });

  const large = (bytes: number): Uint8Array => new Uint8Array(bytes);
  const cases: [string, ErrorCode, () => unknown][] = [
    ['a topic that is not there', 'TOPIC_NOT_FOUND', () => varlog.topic(77).append('x')],
    [
      'a log stream that is not there',
      'LOG_STREAM_NOT_FOUND',
      () => topic.append('x', { logStream: 99 }),
    ],
    ['topic 0', 'INVALID_ARGUMENT', () => varlog.topic(0)],
    ['GLSN 0', 'POSITION_OUT_OF_RANGE', () => readAll(topic, 0)],
    ['a GLSN above 2^53', 'POSITION_OUT_OF_RANGE', () => readAll(topic, 2 ** 53)],
    ['a GLSN that is no number', 'POSITION_OUT_OF_RANGE', () => readAll(topic, Number.NaN)],
    ['a trimmed position', 'TRIMMED', () => readAll(topic, 1)],
    ['a position beyond the tail', 'BEYOND_TAIL', () => readAll(topic, 1_000)],
    ['to trim beyond the tail', 'BEYOND_TAIL', () => topic.trim(1_000)],
    ['an empty batch', 'EMPTY_BATCH', () => topic.append([])],
    ['an oversized record', 'ENTRY_TOO_LARGE', () => topic.append(large(RECORD_BYTES_MAX + 1))],
    [
      'an oversized batch',
      'ENTRY_TOO_LARGE',
      () => topic.append(Array.from({ length: 5 }, () => large(BATCH_BYTES_MAX / 5))),
    ],
    ['something that is no record', 'INVALID_ARGUMENT', () => topic.append(42 as never)],
    [
      'another cluster',
      'CLUSTER_MISMATCH',
      () => Varlog.connect({ endpoints: cluster.endpoints, clusterId: 99 }),
    ],
    [
      'a cluster where there is none',
      'UNREACHABLE',
      () => Varlog.connect({ endpoints: ['127.0.0.1:1'], timeoutMs: 300 }),
    ],
    ['no endpoint', 'INVALID_ARGUMENT', () => Varlog.connect({ endpoints: [] })],
  ];

  test.each(cases)('%s: %s, with what to do next, and nothing is stored', async (_, code, work) => {
    const { last } = await topic.watermarks();
    const error = await errorOf(work);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(new RegExp(`^${code}: .+; .+\\.$`, 's'));
    expect(error.outcome).not.toBe('unknown');
    expect(await topic.watermarks()).toEqual({ first: 2, last });
  });

  test('the largest record is accepted', async () => {
    const { glsn } = await topic.append(large(RECORD_BYTES_MAX));
    for await (const entry of topic.read({ from: glsn })) {
      expect(entry.bytes.length).toBe(RECORD_BYTES_MAX);
    }
  });

  test('a client that was closed says so', async () => {
    const other = await cluster.connect();
    const handle = other.topic(topic.id);
    await other.close();
    expect((await errorOf(() => handle.append('x'))).code).toBe('CLOSED');
  });
});

describe('a node that cannot start', () => {
  const processes = new LocalProcesses();
  const { directory } = processes;
  afterAll(() => processes[Symbol.asyncDispose]());

  /** The code of the one line that is in its log, in the log's own format. */
  async function failureOf(flags: Record<string, string>): Promise<string> {
    const program = processes.node(flags);
    program.start();
    const code = await program.ended();
    expect(code).not.toBe(0);
    const [line = '', ...others] = program.output.trim().split('\n');
    expect(others).toEqual([]);
    const entry = JSON.parse(line) as Record<string, string>;
    expect(entry).toMatchObject({
      level: 'error',
      event: 'cannot start',
      time: expect.any(String),
    });
    expect(entry['message']).toContain(entry['code']);
    return entry['code']!;
  }

  test('a port in use, a directory in use, a directory of another cluster', async () => {
    const [address, other] = await freeAddresses(2);
    const flags = { listen: address!, directory: join(directory, 'a') };
    const first = processes.node(flags);
    first.start();
    const varlog = await Varlog.connect({ endpoints: [flags.listen], timeoutMs: 20_000 });
    await varlog.ready({ storageNodes: 1 });
    await varlog.close();
    expect(await failureOf({ ...flags, directory: join(directory, 'b') })).toBe('ADDRESS_IN_USE');
    expect(await failureOf({ ...flags, listen: other! })).toBe('DIRECTORY_IN_USE');
    await first.end('SIGKILL');
    expect(await failureOf({ ...flags, 'cluster-id': '5' })).toBe('IDENTITY_MISMATCH');
    expect(await failureOf({ ...flags, 'node-id': '0' })).toBe('CONFIG_INVALID');
  }, 60_000);

  test('a directory that cannot be written to', async () => {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    const address = (await freeAddresses(1))[0]!;
    const flags = { listen: address, directory: join(file, 'below') };
    expect(await failureOf(flags)).toBe('DIRECTORY_UNWRITABLE');
  }, 30_000);
});
