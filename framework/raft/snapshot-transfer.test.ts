import { type Handler, handler, type Timer } from '../base/index.ts';
import { GrpcNetwork, realClock } from '../runtime/index.ts';
import { SnapshotRequest } from '../wire/gen/raft.ts';
import { methodsOf } from './methods.ts';
import { CHUNK_BYTES, SnapshotDownload, serveSnapshot } from './snapshot-transfer.ts';
import type { Snapshot } from './storage.ts';

const network = new GrpcNetwork();
const { snapshot: method } = methodsOf('test');
const { signal } = new AbortController();
const patience = { clock: realClock(), silenceMsMax: 5_000, identity: () => '' };
const configuration = {
  identity: 'f'.repeat(32),
  retired: [4],
  voters: [1, 2],
  outgoing: [],
  learners: [3],
  addresses: new Map([[1, 'a']]),
  incarnations: new Map([[1, 'x']]),
};
const snapshotAt = (index: number, size: number): Snapshot => ({
  index,
  term: 4,
  configuration,
  state: new Uint8Array(size).map((_, i) => (i * 31 + index) & 0xff),
});

/** Serves `newest`, and breaks each transfer of `breakAfter` once it has sent so many messages. */
async function serve(newest: () => Snapshot | undefined, breakAfter: number[] = []) {
  const asked: { partOf: number; offset: number }[] = [];
  const honest = serveSnapshot(method, newest, { checkIdentity: () => {} });
  const flaky: Handler = handler(method, async (request, stream, context) => {
    asked.push({ partOf: request.partOf, offset: request.offset });
    let left = breakAfter.shift() ?? Infinity;
    const breaking = {
      ...stream,
      closed: stream.closed,
      writable: () => stream.writable(),
      send: (message: Parameters<typeof stream.send>[0]): boolean => {
        if (left-- === 0) throw new Error('the connection broke');
        return stream.send(message);
      },
    };
    const run = honest.run as (...args: unknown[]) => Promise<void>;
    await run(SnapshotRequest.create(request), breaking, context);
  });
  const server = await network.serve('127.0.0.1:0', [flaky]);
  const channel = network.connect(server.address);
  return {
    channel,
    asked,
    [Symbol.asyncDispose]: async () => {
      channel.close();
      await server.close();
    },
  };
}

test.each([0, 1, CHUNK_BYTES, 3_000_000])(
  'a snapshot of %d bytes arrives as it is',
  async (size) => {
    const snapshot = snapshotAt(7, size);
    await using there = await serve(() => snapshot);
    const found = await new SnapshotDownload(method, patience).fetch(there.channel, 5, signal);
    expect({ ...found, state: Buffer.from(found.state).equals(snapshot.state) }).toEqual({
      ...snapshot,
      state: true,
    });
  },
);

test('a transfer that breaks goes on where it broke', async () => {
  const snapshot = snapshotAt(7, 3_000_000);
  await using there = await serve(() => snapshot, [4, 3]);
  const download = new SnapshotDownload(method, patience);
  for (const _ of [1, 2]) await expect(download.fetch(there.channel, 5, signal)).rejects.toThrow();
  const found = await download.fetch(there.channel, 5, signal);
  expect(Buffer.from(found.state).equals(snapshot.state)).toBe(true);
  expect(there.asked.map((it) => it.offset)).toEqual([0, 4 * CHUNK_BYTES, 7 * CHUNK_BYTES]);
  // Nothing of it is left for the next one.
  await download.fetch(there.channel, 5, signal);
  expect(there.asked.at(-1)).toEqual({ partOf: 0, offset: 0 });
});

test('what is continued is never mixed with a newer snapshot', async () => {
  let newest = snapshotAt(7, 2_000_000);
  await using there = await serve(() => newest, [3]);
  const download = new SnapshotDownload(method, patience);
  await expect(download.fetch(there.channel, 5, signal)).rejects.toThrow();
  newest = snapshotAt(9, 2_000_000);
  const found = await download.fetch(there.channel, 5, signal);
  expect(found.index).toBe(9);
  expect(Buffer.from(found.state).equals(newest.state)).toBe(true);
});

test('one that is too old is refused', async () => {
  await using there = await serve(() => snapshotAt(4, 10));
  const fetched = new SnapshotDownload(method, patience).fetch(there.channel, 5, signal);
  await expect(fetched).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('a sender that falls silent is given up, and what has come is not lost', async () => {
  const snapshot = snapshotAt(7, 1_000_000);
  const serving = serveSnapshot(method, () => snapshot, { checkIdentity: () => {} });
  const honest = serving.run as (...args: unknown[]) => Promise<void>;
  const asked: number[] = [];
  const silent: Handler = handler(method, async (request, stream) => {
    asked.push(request.offset);
    if (asked.length > 1) return honest(request, stream);
    let left = 2;
    const hanging = {
      writable: () => new Promise<void>(() => {}),
      send: (message: Parameters<typeof stream.send>[0]) =>
        left-- > 0 && stream.send(message) && left > 0,
    };
    return honest(request, hanging);
  });
  const server = await network.serve('127.0.0.1:0', [silent]);
  const channel = network.connect(server.address);
  try {
    // Waits anew for each message: for the third in vain, also once more, and then for ever.
    let waits = 0;
    const after = (_: number, ring: () => void): Timer => {
      if (++waits === 3 || waits === 4) setImmediate(ring);
      return { cancel: () => {} };
    };
    const clock = { ...patience.clock, after };
    const download = new SnapshotDownload(method, { ...patience, clock });
    await expect(download.fetch(channel, 5, signal)).rejects.toMatchObject({ code: 'TIMEOUT' });
    const found = await download.fetch(channel, 5, signal);
    expect(Buffer.from(found.state).equals(snapshot.state)).toBe(true);
    expect(asked).toEqual([0, 2 * CHUNK_BYTES]);
  } finally {
    channel.close();
    await server.close();
  }
});

test('a sender is not given up for what came while this process was held up', async () => {
  const snapshot = snapshotAt(7, 1_000_000);
  const serving = serveSnapshot(method, () => snapshot, { checkIdentity: () => {} });
  const honest = serving.run as (...args: unknown[]) => Promise<void>;
  let goOn = (): void => {};
  const isLate = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  let sent = 0;
  const late: Handler = handler(method, (request, stream) =>
    honest(request, {
      writable: () => isLate,
      send: (message: Parameters<typeof stream.send>[0]) => stream.send(message) && ++sent !== 2,
    }),
  );
  const server = await network.serve('127.0.0.1:0', [late]);
  const channel = network.connect(server.address);
  try {
    let waits = 0;
    const after = (_: number, ring: () => void): Timer => {
      if (++waits === 3) {
        setImmediate(() => {
          ring();
          goOn();
        });
      }
      return { cancel: () => {} };
    };
    const clock = { ...patience.clock, after };
    const found = await new SnapshotDownload(method, { ...patience, clock }).fetch(
      channel,
      5,
      signal,
    );
    expect(Buffer.from(found.state).equals(snapshot.state)).toBe(true);
  } finally {
    channel.close();
    await server.close();
  }
});
