import {
  BATCH_BYTES_MAX,
  type Channel,
  LARGEST_RECORD_BYTES,
  RECORD_BYTES_MAX,
} from '../../base/index.ts';
import * as snpb from '../../wire/gen/snpb.ts';
import { eventually, TestCluster } from './cluster.fixture.ts';
import { trim } from './trim.ts';

/** The largest number below 2^64: what is above 2^63 means no end. */
const NO_END = 2 ** 64 - 2_048;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (payload: Uint8Array): string => new TextDecoder().decode(payload);

let cluster: TestCluster;
let channel: Channel;

/** A node with `logStreams` open log streams of topic 1. */
async function node(logStreams = 1, limits: { recordBytesMax?: number } = {}): Promise<void> {
  cluster = await TestCluster.start([1], limits);
  for (let id = 1; id <= logStreams; id++) {
    cluster.apply({ kind: 'registerLogStream', id, topicId: 1, replicas: [1] });
    await cluster.reopen(id, [1]);
  }
  channel = cluster.connect(1);
}

/** Sends requests on one stream, ends it, and resolves with the answers. */
async function append(...requests: Partial<snpb.AppendRequest>[]): Promise<snpb.AppendResult[]> {
  const stream = channel.open(snpb.LogIO.Append);
  const results: snpb.AppendResult[] = [];
  stream.receive((response) => {
    results.push(...response.results);
  });
  for (const it of requests) {
    stream.send(snpb.AppendRequest.create({ topicId: 1, logStreamId: 1, ...it }));
  }
  stream.end();
  await stream.closed;
  return results;
}

const put = (logStreamId: number, ...texts: string[]): Promise<snpb.AppendResult[]> =>
  append({ logStreamId, payload: texts.map(bytes) });

async function subscribe(
  glsnBegin: number,
  glsnEnd: number,
  logStreamId = 1,
  topicId = 1,
): Promise<string[]> {
  const request = { topicId, logStreamId, glsnBegin, glsnEnd };
  const stream = channel.subscribe(snpb.LogIO.Subscribe, snpb.SubscribeRequest.create(request));
  const found: string[] = [];
  stream.receive(({ glsn, llsn, payload }) => {
    found.push(`${glsn}/${llsn}:${text(payload)}`);
  });
  await stream.closed;
  return found;
}

async function subscribeTo(llsnBegin: number, llsnEnd: number): Promise<string[]> {
  const request = { topicId: 1, logStreamId: 1, llsnBegin, llsnEnd };
  const method = snpb.LogIO.SubscribeTo;
  const stream = channel.subscribe(method, snpb.SubscribeToRequest.create(request));
  const found: string[] = [];
  stream.receive(({ logEntry }) => {
    const { topicId, logStreamId, glsn, llsn } = logEntry!.meta!;
    found.push(`${topicId}/${logStreamId} ${glsn}/${llsn}:${text(logEntry!.data)}`);
  });
  await stream.closed;
  return found;
}

afterEach(() => cluster.close());

describe('the published Append', () => {
  test('answers each request in order, with the position of every record', async () => {
    await node(2);
    const results = await append({ payload: ['a', 'b'].map(bytes) }, { payload: [bytes('c')] });
    expect(results.map(({ meta, error }) => ({ ...meta, error }))).toEqual([
      { topicId: 1, logStreamId: 1, glsn: 1, llsn: 1, error: '' },
      { topicId: 1, logStreamId: 1, glsn: 2, llsn: 2, error: '' },
      { topicId: 1, logStreamId: 1, glsn: 3, llsn: 3, error: '' },
    ]);
    const [other] = await put(2, 'd');
    expect(other!.meta).toMatchObject({ logStreamId: 2, glsn: 4, llsn: 1 });
  });

  test('refuses what is wrong, and stores nothing of it', async () => {
    await node(2);
    const good = { payload: [bytes('x')] };
    const table: [Partial<snpb.AppendRequest>[], string][] = [
      [[{ payload: [] }], 'EMPTY_BATCH'],
      [[{ ...good, topicId: 9 }], 'LOG_STREAM_NOT_FOUND'],
      [[{ ...good, logStreamId: 9 }], 'LOG_STREAM_NOT_FOUND'],
      [[{ payload: [new Uint8Array(RECORD_BYTES_MAX + 1)] }], 'ENTRY_TOO_LARGE'],
      [[{ payload: Array(9).fill(new Uint8Array(BATCH_BYTES_MAX / 8)) }], 'ENTRY_TOO_LARGE'],
    ];
    for (const [requests, code] of table) {
      await expect(append(...requests)).rejects.toMatchObject({ code, outcome: 'notAppended' });
    }
    expect(cluster.replica(1).core.end).toBe(0);
    // One stream appends to one log stream; what went before that is kept.
    await expect(append(good, { ...good, logStreamId: 2 })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    expect(cluster.replica(1, 2).core.end).toBe(0);
  });

  test('takes records as large as the node was told, and names the limit to larger ones', async () => {
    await node(1, { recordBytesMax: LARGEST_RECORD_BYTES });
    const largest = new Uint8Array(LARGEST_RECORD_BYTES).fill(7);
    await append({ payload: [largest] });
    const request = { topicId: 1, logStreamId: 1, glsnBegin: 1, glsnEnd: 2 };
    const stream = channel.subscribe(snpb.LogIO.Subscribe, snpb.SubscribeRequest.create(request));
    let found = new Uint8Array();
    stream.receive(({ payload }) => {
      found = new Uint8Array(payload);
    });
    await stream.closed;
    expect(Buffer.compare(found, largest)).toBe(0);
    const over = append({ payload: [new Uint8Array(LARGEST_RECORD_BYTES + 1)] });
    await expect(over).rejects.toMatchObject({
      code: 'ENTRY_TOO_LARGE',
      message: expect.stringMatching(/16777217 bytes, more than the 16777216 .*--record-bytes-max/),
    });
    // A batch has some room beside its largest record, and no more.
    const half = new Uint8Array(LARGEST_RECORD_BYTES / 2 + 40_000);
    await expect(append({ payload: [half, half] })).rejects.toMatchObject({
      code: 'ENTRY_TOO_LARGE',
    });
    expect(cluster.replica(1).core.end).toBe(1);
  });

  test('passes the largest record on to the other replicas', async () => {
    cluster = await TestCluster.start([1, 2], { recordBytesMax: LARGEST_RECORD_BYTES });
    cluster.apply({ kind: 'registerLogStream', id: 1, topicId: 1, replicas: [1, 2] });
    await cluster.reopen(1, [1, 2]);
    channel = cluster.connect(1);
    await append({ payload: [new Uint8Array(LARGEST_RECORD_BYTES).fill(7)] });
    await eventually(() => cluster.replica(2).core.committedEnd === 1);
    channel = cluster.connect(2);
    const [found] = await subscribe(1, 2);
    expect(found).toHaveLength('1/1:'.length + LARGEST_RECORD_BYTES);
  });
});

describe('the published Subscribe', () => {
  test('gives the records of one log stream in a range, whatever lies between them', async () => {
    await node(2);
    await put(1, 'a', 'b');
    await put(2, 'c');
    await put(1, 'd');
    expect(await subscribe(1, 5)).toEqual(['1/1:a', '2/2:b', '4/3:d']);
    expect(await subscribe(2, 4)).toEqual(['2/2:b']);
    expect(await subscribe(3, 4)).toEqual([]);
    expect(await subscribe(1, 5, 2)).toEqual(['3/1:c']);
  });

  test('ends where the topic has passed the range, though the log stream has nothing there', async () => {
    await node(2);
    await put(2, 'a');
    const early = subscribe(1, 4, 1);
    await put(2, 'b', 'c');
    expect(await early).toEqual([]);
    expect(await subscribe(2, 4, 1)).toEqual([]);
  });

  test('without an end it goes on until it is cancelled, and leaves nothing behind', async () => {
    await node();
    const request = { topicId: 1, logStreamId: 1, glsnBegin: 1, glsnEnd: NO_END };
    const stream = channel.subscribe(snpb.LogIO.Subscribe, snpb.SubscribeRequest.create(request));
    const found: string[] = [];
    let seen: () => void = () => {};
    stream.receive(({ payload }) => {
      found.push(text(payload));
      seen();
    });
    const next = (): Promise<void> => new Promise((resolve) => (seen = resolve));
    for (const it of ['a', 'b']) {
      const arrived = next();
      await put(1, it);
      await arrived;
    }
    expect(found).toEqual(['a', 'b']);
    stream.cancel();
    await stream.closed.catch(() => {});
    await put(1, 'c');
    expect(found).toEqual(['a', 'b']);
  });

  test('refuses ranges that are empty, begin in what was trimmed, or of a stranger', async () => {
    await node();
    await put(1, 'a', 'b', 'c');
    await trim(cluster.replica(1), 2);
    await expect(subscribe(2, 2)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(subscribe(3, 2)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(subscribe(1, 4)).rejects.toMatchObject({
      code: 'TRIMMED',
      details: { firstAvailable: 3 },
    });
    await expect(subscribe(1, 4, 9)).rejects.toMatchObject({ code: 'LOG_STREAM_NOT_FOUND' });
    await expect(subscribe(1, 4, 1, 9)).rejects.toMatchObject({ code: 'LOG_STREAM_NOT_FOUND' });
    expect(await subscribe(3, 4)).toEqual(['3/3:c']);
  });
});

describe('the published SubscribeTo', () => {
  test('gives a range of LLSNs, and ends with its last record', async () => {
    await node(2);
    await put(1, 'a');
    await put(2, 'x');
    await put(1, 'b', 'c');
    expect(await subscribeTo(1, 4)).toEqual(['1/1 1/1:a', '1/1 3/2:b', '1/1 4/3:c']);
    expect(await subscribeTo(2, 3)).toEqual(['1/1 3/2:b']);
    const waiting = subscribeTo(3, 5);
    await put(1, 'd');
    expect(await waiting).toEqual(['1/1 4/3:c', '1/1 5/4:d']);
    await expect(subscribeTo(5, 5)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('the other published calls', () => {
  test('Trim is decided for the whole topic: removes up to a GLSN, and not beyond the tail', async () => {
    await node();
    await put(1, 'a', 'b', 'c');
    const trim = (lastGlsn: number): Promise<unknown> =>
      channel.call(snpb.Management.Trim, snpb.TrimRequest.create({ topicId: 1, lastGlsn }));
    await expect(trim(4)).rejects.toMatchObject({ code: 'BEYOND_TAIL' });
    await trim(2);
    expect(cluster.metadata.topics.get(1)!.trimmed).toBe(2);
    await expect(subscribe(2, 4)).rejects.toMatchObject({ code: 'TRIMMED' });
    expect(await subscribe(3, 4)).toEqual(['3/3:c']);
    // 0 says: from the first one that is left.
    expect(await subscribe(0, 4)).toEqual(['3/3:c']);
    expect(await subscribeTo(0, 4)).toEqual(['1/1 3/3:c']);
  });

  test('Trim up to the largest GLSN of 64 bits is refused, and removes nothing', async () => {
    await node();
    await put(1, 'a', 'b', 'c');
    // Topic 1, and 2^64 - 1: as a number it is 2^64, which would be sent on as 0.
    const bytes = new Uint8Array([8, 1, 16, ...Array(9).fill(255), 1]);
    const request = { encode: () => bytes, decode: () => undefined };
    const { LogIO, Management } = snpb;
    for (const method of [LogIO.TrimDeprecated, Management.Trim]) {
      const trim = channel.call<undefined, object>({ ...method, request }, undefined);
      await expect(trim).rejects.toMatchObject({ code: 'POSITION_OUT_OF_RANGE' });
    }
    expect(await subscribe(1, 4)).toEqual(['1/1:a', '2/2:b', '3/3:c']);
  });

  test('metadata tells watermarks, version and status', async () => {
    await node();
    await put(1, 'a', 'b', 'c');
    await trim(cluster.replica(1), 1);
    const { storageNodeMetadata } = await channel.call(
      snpb.Management.GetMetadata,
      snpb.GetMetadataRequest.create({}),
    );
    expect(storageNodeMetadata!.storageNode!.storageNodeId).toBe(1);
    const request = snpb.LogStreamReplicaMetadataRequest.create({ topicId: 1, logStreamId: 1 });
    const { logStreamReplica } = await channel.call(snpb.LogIO.LogStreamReplicaMetadata, request);
    const [listed] = storageNodeMetadata!.logStreamReplicas;
    expect(listed).toEqual(logStreamReplica);
    expect(logStreamReplica).toMatchObject({
      status: 0,
      globalHighWatermark: 3,
      localLowWatermark: { llsn: 2, glsn: 2 },
      localHighWatermark: { llsn: 3, glsn: 3 },
    });
  });

  test('metadata names the replica of which something cannot be read, and tells of all others', async () => {
    await node(2);
    // So many that a restarted process has to look for the first one.
    for (let i = 0; i < 300; i++) await put(1, 'x');
    await put(2, 'a');
    await cluster.stopNode(1);
    await cluster.startNode(1);
    for (const id of [1, 2]) await cluster.reopen(id, [1]);
    channel = cluster.connect(1);
    const request = snpb.GetMetadataRequest.create({});
    const listed = async () => {
      const answer = await channel.call(snpb.Management.GetMetadata, request);
      return answer.storageNodeMetadata!.logStreamReplicas;
    };
    expect((await listed()).map((it) => it.failure)).toEqual(['', '']);
    cluster.disks.get(1)!.faults = {
      fail: ({ kind, path }) =>
        kind === 'read' && path.includes('replicas/1/commits') ? 'EIO' : undefined,
    };
    const [broken, well] = await listed();
    expect(broken).toMatchObject({ failure: expect.stringMatching(/DISK_FAILED|EIO/) });
    expect(well).toMatchObject({ failure: '', localHighWatermark: { llsn: 1 } });
  }, 60_000);
});
