import { type Channel, type Handler, handler, joined, type Timer } from '../base/index.ts';
import { GrpcNetwork, realClock } from '../runtime/index.ts';
import { SeededRandom, SimulatedDisk } from '../testing/index.ts';
import { SnapshotChunk, SnapshotRequest } from '../wire/gen/raft.ts';
import { methodsOf } from './methods.ts';
import type { SnapshotReader } from './snapshot-file.ts';
import { SnapshotFolder } from './snapshot-folder.ts';
import { CHUNK_BYTES, SnapshotDownload, serveSnapshot } from './snapshot-transfer.ts';

const network = new GrpcNetwork();
const { snapshot: method } = methodsOf('test');
const { signal } = new AbortController();
const configuration = {
  identity: 'f'.repeat(32),
  retired: [4],
  voters: [1, 2],
  outgoing: [],
  learners: [3],
  addresses: new Map([[1, 'a']]),
  incarnations: new Map([[1, 'x']]),
};
/** A snapshot as it is to be, and as it lies in a folder. */
interface Sample {
  readonly index: number;
  readonly state: Uint8Array;
  read(): Promise<SnapshotReader | undefined>;
  readonly disk: SimulatedDisk;
}

async function folderOn(disk: SimulatedDisk): Promise<SnapshotFolder> {
  const { signal } = new AbortController();
  const onFailure = (error: unknown): void => {
    throw error;
  };
  return SnapshotFolder.open({ disk, directory: '.', label: 'a member', signal, onFailure });
}

async function snapshotAt(index: number, size: number): Promise<Sample> {
  const state = new Uint8Array(size).map((_, i) => (i * 31 + index) & 0xff);
  const disk = new SimulatedDisk({ random: new SeededRandom(1) });
  const folder = await folderOn(disk);
  await folder.capture({ index, term: 4, configuration }, state);
  return { index, state, read: () => folder.read(), disk };
}

/** A member that fetches, and what it has on its disk. */
async function receiver(clock = realClock()) {
  const disk = new SimulatedDisk({ random: new SeededRandom(2) });
  const folder = await folderOn(disk);
  const checkIdentity = (): void => {};
  const options = { clock, silenceMsMax: 5_000, identity: () => '', checkIdentity, folder };
  const download = new SnapshotDownload(method, options);
  const fetch = async (channel: Channel) => {
    const received = await download.fetch(channel, 5, signal);
    await folder.adopt(received);
    const reader = await folder.read();
    const state = await joined(reader!.chunks());
    await reader!.close();
    return { ...received.snapshot, state };
  };
  return { disk, fetch };
}

/** Serves `newest`, and breaks each transfer of `breakAfter` once it has sent so many messages. */
async function serve(newest: () => Sample, breakAfter: number[] = []) {
  const asked: { partOf: number; offset: number }[] = [];
  const honest = serveSnapshot(method, () => newest().read(), { checkIdentity: () => {} });
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
    const snapshot = await snapshotAt(7, size);
    await using there = await serve(() => snapshot);
    const here = await receiver();
    const { state, ...found } = await here.fetch(there.channel);
    expect(Buffer.from(state).equals(snapshot.state)).toBe(true);
    expect(found).toMatchObject({ index: 7, term: 4, configuration, size });
    // The two files are the same, and nothing else is left, on either side.
    expect([here.disk.files(), here.disk.openFiles]).toEqual([snapshot.disk.files(), 0]);
    expect([here.disk.files().length, snapshot.disk.openFiles]).toEqual([1, 0]);
  },
);

test('a transfer that breaks goes on where it broke', async () => {
  const snapshot = await snapshotAt(7, 3_000_000);
  await using there = await serve(() => snapshot, [4, 3]);
  const here = await receiver();
  for (const _ of [1, 2]) await expect(here.fetch(there.channel)).rejects.toThrow();
  const found = await here.fetch(there.channel);
  expect(Buffer.from(found.state).equals(snapshot.state)).toBe(true);
  expect(there.asked.map((it) => it.offset)).toEqual([0, 4 * CHUNK_BYTES, 7 * CHUNK_BYTES]);
  // Nothing of it is left for the next one.
  await here.fetch(there.channel);
  expect(there.asked.at(-1)).toEqual({ partOf: 0, offset: 0 });
  expect(here.disk.files().map((it) => it.path)).toEqual(['snapshot']);
});

test('what is continued is never mixed with a newer snapshot', async () => {
  let newest = await snapshotAt(7, 2_000_000);
  await using there = await serve(() => newest, [3]);
  const here = await receiver();
  await expect(here.fetch(there.channel)).rejects.toThrow();
  newest = await snapshotAt(9, 2_000_000);
  const found = await here.fetch(there.channel);
  expect(found.index).toBe(9);
  expect(Buffer.from(found.state).equals(newest.state)).toBe(true);
});

test('one that is too old is refused', async () => {
  const snapshot = await snapshotAt(4, 10);
  await using there = await serve(() => snapshot);
  const here = await receiver();
  await expect(here.fetch(there.channel)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(snapshot.disk.openFiles).toBe(0);
});

test('what a disk changed is not taken, wherever that is, and nothing of it is kept', async () => {
  for (const at of [0, 299_999, 150_000]) {
    const snapshot = await snapshotAt(7, 300_000);
    const { size } = snapshot.disk.files()[0]!;
    snapshot.disk.flipBit('snapshot', size - 300_000 + at);
    await using there = await serve(() => snapshot);
    const here = await receiver();
    await expect(here.fetch(there.channel)).rejects.toMatchObject({ code: expect.any(String) });
    expect([here.disk.files(), here.disk.openFiles]).toEqual([[], 0]);
  }
});

test('what the way changed is not taken, even where the sender found nothing wrong', async () => {
  const snapshot = await snapshotAt(7, 100_000);
  const honest = serveSnapshot(method, () => snapshot.read(), { checkIdentity: () => {} });
  const altering = async (change: (chunk: SnapshotChunk, number: number) => void) => {
    const run = honest.run as (...args: unknown[]) => Promise<void>;
    const changing: Handler = handler(method, (request, stream) => {
      let number = 0;
      const send = (message: SnapshotChunk): boolean => {
        const copy = SnapshotChunk.create({ ...message, bytes: message.bytes.slice() });
        change(copy, number++);
        return stream.send(copy);
      };
      return run(SnapshotRequest.create(request), { writable: () => stream.writable(), send });
    });
    const server = await network.serve('127.0.0.1:0', [changing]);
    const channel = network.connect(server.address);
    const here = await receiver();
    try {
      return await here.fetch(channel).then(
        ({ state }) => Buffer.from(state).equals(snapshot.state),
        ({ code }) => [code, here.disk.files()],
      );
    } finally {
      channel.close();
      await server.close();
    }
  };
  const flipped = await altering((chunk, number) => {
    if (number === 2) chunk.bytes[5]! ^= 1;
  });
  expect(flipped).toEqual(['CORRUPT', []]);
  // A member of an older version sends no checksum.
  const older = await altering((chunk) => {
    chunk.checksum = 0;
  });
  expect(older).toBe(true);
});

test('a sender that falls silent is given up, and what has come is not lost', async () => {
  const snapshot = await snapshotAt(7, 1_000_000);
  const serving = serveSnapshot(method, () => snapshot.read(), { checkIdentity: () => {} });
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
    const here = await receiver({ ...realClock(), after });
    await expect(here.fetch(channel)).rejects.toMatchObject({ code: 'TIMEOUT' });
    const found = await here.fetch(channel);
    expect(Buffer.from(found.state).equals(snapshot.state)).toBe(true);
    expect(asked).toEqual([0, 2 * CHUNK_BYTES]);
  } finally {
    channel.close();
    await server.close();
  }
});

test('a sender is not given up for what came while this process was held up', async () => {
  const snapshot = await snapshotAt(7, 1_000_000);
  const serving = serveSnapshot(method, () => snapshot.read(), { checkIdentity: () => {} });
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
    const found = await (await receiver({ ...realClock(), after })).fetch(channel);
    expect(Buffer.from(found.state).equals(snapshot.state)).toBe(true);
  } finally {
    channel.close();
    await server.close();
  }
});
