import { type Disk, encodeBatch } from '../../base/index.ts';
import { realClock } from '../../runtime/index.ts';
import { CacheBudget, StateFile } from '../../store/index.ts';
import { SeededRandom, SimulatedDisk } from '../../testing/index.ts';
import { ProducerTable } from '../../wire/gen/log.ts';
import { keyHash, PRODUCER_LIMITS } from '../core/index.ts';
import { openReplicaStorage } from './replica-storage.ts';

/** A disk that counts the files that are open. */
function counting(disk: SimulatedDisk): { disk: Disk; open: () => number } {
  let open = 0;
  const counted: Disk = Object.create(disk);
  counted.open = async (...args) => {
    const file = await disk.open(...args);
    open++;
    const close = file.close.bind(file);
    file.close = () => {
      open--;
      return close();
    };
    return file;
  };
  return { disk: counted, open: () => open };
}

function openOn(disk: Disk): ReturnType<typeof openReplicaStorage> {
  return openReplicaStorage({
    disk,
    clock: realClock(),
    directory: 'replica',
    owner: 'a test',
    topicId: 1,
    logStreamId: 1,
    segmentBytes: 16 * 1024 * 1024,
    cacheBudget: new CacheBudget(1024),
    producerLimits: PRODUCER_LIMITS,
    onFailure: () => {},
    onFull: () => {},
  });
}

test('what is read to open a replica does not grow with what it holds', async () => {
  const files = new SimulatedDisk({ random: new SeededRandom(1) });
  let read = 0;
  const disk: Disk = Object.create(files);
  disk.open = async (...args) => {
    const file = await files.open(...args);
    const readOn = file.read.bind(file);
    file.read = async (offset, length) => {
      const bytes = await readOn(offset, length);
      read += bytes.length;
      return bytes;
    };
    return file;
  };
  const openStorage = () => openOn(disk);
  const payload = new Uint8Array(500).fill(7);
  const sizes: number[] = [];
  let position = 0;
  for (let round = 0; round < 5; round++) {
    const storage = await openStorage();
    for (let i = 0; i < 20_000; i++) {
      position++;
      storage.records.append([{ position, count: 1, epoch: 1, payload }], { sync: false });
      const commit = { logStreamId: 1, epoch: 1, version: position, count: 1 };
      storage.commits.append({ ...commit, llsn: position, glsn: position });
      storage.producers.ordered({ ...commit, llsn: position, glsn: position });
      if (i % 1_000 === 0) await storage.records.flush();
    }
    await storage.records.flush();
    expect(await storage.flushCommits()).toBe(true);
    await storage.producers.keepUp();
    await storage.close();
    read = 0;
    await (await openStorage()).close();
    sizes.push(read);
  }
  // 50 MiB of records, and 7 MiB of commits: the newest segment is checked, and read again for producers.
  expect(Math.max(...sizes)).toBeLessThan(40 * 1024 * 1024);
  expect(sizes.at(-1)).toBeLessThan(1.5 * sizes[1]!);
}, 60_000);

test('where a version wrote the file that knows no keys, nothing is known of those up to its place', async () => {
  const disk = new SimulatedDisk({ random: new SeededRandom(1) });
  const hash = (key: string): number => keyHash(new TextEncoder().encode(key));
  const storage = await openOn(disk);
  for (const [i, key] of ['a', 'b', 'c'].entries()) {
    const recordHeaders = new Map([[0, [['', new TextEncoder().encode(key)] as const]]]);
    const { bytes: payload, count } = encodeBatch([new Uint8Array(1)], { recordHeaders });
    storage.records.append([{ position: i + 1, count, epoch: 1, payload }]);
    const commit = { logStreamId: 1, epoch: 1, version: i + 1, count };
    storage.commits.append({ ...commit, llsn: i + 1, glsn: i + 1 });
  }
  await storage.records.flushed(3);
  await storage.flushCommits();
  await storage.close();
  const raw = { encode: (it: Uint8Array) => it, decode: (it: Uint8Array) => it };
  const label = 'a test log stream 1 producers';
  const file = await StateFile.open(disk, 'replica/producers', label, raw);
  await file.write(ProducerTable.encode(ProducerTable.create({ llsn: 2 })));
  const { producers, close } = await openOn(disk);
  const versions = ['a', 'b', 'c', 'd'].map((it) => producers.keys.versionOf(hash(it)));
  const unknown = { version: 2, atMost: true };
  expect(versions).toEqual([unknown, unknown, { version: 3, atMost: false }, unknown]);
  await producers.save();
  await close();
  const again = await openOn(disk);
  expect(again.producers.keys.versionOf(hash('c')).version).toBe(3);
  expect(again.producers.keys.versionOf(hash('a'))).toEqual(unknown);
  await again.close();
});

test.each(['state', 'records', 'commits'])(
  'a replica whose %s are damaged does not open, and leaves no file open',
  async (part) => {
    const files = new SimulatedDisk({ random: new SeededRandom(1) });
    const { disk, open } = counting(files);
    const openStorage = () => openOn(disk);
    const storage = await openStorage();
    const records = Array.from({ length: 10 }, (_, i) => i + 1);
    const payload = new Uint8Array(100).fill(7);
    for (const position of records) {
      storage.records.append([{ position, count: 1, epoch: 1, payload }]);
      const commit = { logStreamId: 1, epoch: 1, version: position, count: 1 };
      storage.commits.append({ ...commit, llsn: position, glsn: position });
    }
    await storage.records.flushed(10);
    expect(await storage.flushCommits()).toBe(true);
    await storage.save({ epoch: 1 });
    await storage.close();
    expect(open()).toBe(0);
    const path = files
      .files()
      .map((it) => it.path)
      .find(
        (it) => (part === 'state' ? /replica\/state$/ : /segment$/).test(it) && it.includes(part),
      )!;
    files.damage(path, (bytes) => {
      bytes[part === 'state' ? bytes.length - 1 : 200]! ^= 1;
    });
    await expect(openStorage()).rejects.toMatchObject({ code: 'CORRUPT' });
    expect(open()).toBe(0);
  },
);
