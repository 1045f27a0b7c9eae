import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { joined } from '../base/index.ts';
import { realPorts } from '../runtime/index.ts';
import { Journal } from '../store/index.ts';
import { SeededRandom, SimulatedDisk } from '../testing/index.ts';
import { initialConfiguration } from './group-options.ts';
import { RaftStorage } from './storage.ts';

describe('what a member keeps on disk', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'raft-storage-'));
  });
  afterEach(() => rm(root, { recursive: true }));

  test('installs one snapshot while the next ones arrive', async () => {
    const failures: unknown[] = [];
    const configuration = initialConfiguration([{ id: 1, address: 'a' }], false);
    const stateAt = (index: number): Uint8Array => new Uint8Array(100_000).fill(index);
    const receive = async (index: number): Promise<void> => {
      const { snapshots } = storage;
      const writer = await snapshots.create({ index, term: 1, configuration });
      await snapshots.append(writer, stateAt(index));
      storage.receive(await snapshots.finish(writer));
    };
    const options = {
      ...realPorts({ directory: root }),
      directory: 'raft',
      label: 'test',
      onFailure: (error: unknown) => failures.push(error),
    };
    const storage = await RaftStorage.open(options);
    let persisted = 0;
    storage.onPersisted((sequence) => {
      persisted = sequence;
    });
    for (const [i, index] of [5, 9, 12].entries()) {
      await receive(index);
      const snapshot = { index, term: 1 };
      const nothing = { hardState: undefined, truncateTo: undefined, batches: [] };
      storage.write({ sequence: i + 1, snapshot, ...nothing });
    }
    // One that the core never asks for, because a newer one came.
    await receive(14);
    while (persisted < 3 && failures.length === 0) await new Promise(setImmediate);
    expect(failures).toEqual([]);
    await storage.close();
    const again = await RaftStorage.open(options);
    const reader = await again.snapshots.read();
    expect(reader?.snapshot.index).toBe(12);
    expect(Buffer.from(await joined(reader!.chunks())).equals(stateAt(12))).toBe(true);
    await reader!.close();
    // Of the one that came last nothing is left.
    const names = await readdir(join(root, 'raft'));
    expect(names.filter((it) => it.startsWith('snapshot'))).toEqual(['snapshot']);
    await again.close();
  });

  test('of a later version is refused in a journal too, and nothing stays open', async () => {
    const { clock } = realPorts({ directory: root });
    const disk = new SimulatedDisk({ random: new SeededRandom(1) });
    const openJournal = (): Promise<Journal> =>
      Journal.open({ disk, directory: 'journal', label: 'a journal' });
    const made = await openJournal();
    const log = await made.open('a member entries');
    await log.write(new Uint8Array(17));
    await made.close();
    const before = disk.files();
    const journal = await openJournal();
    const onFailure = (): void => {};
    const options = { disk, clock, directory: 'raft', label: 'a member', onFailure, journal };
    await expect(RaftStorage.open(options)).rejects.toMatchObject({
      code: 'FORMAT_UNKNOWN',
      message: expect.stringMatching(/hard state in .*journal.* has 17 bytes.*upgrade/s),
    });
    await journal.close();
    expect(disk.files().filter((it) => it.path.startsWith('journal/'))).toEqual(before);
    expect(disk.openFiles).toBe(0);
  });
});
