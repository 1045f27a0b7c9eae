import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realPorts } from '../runtime/index.ts';
import { initialConfiguration } from './group-options.ts';
import { RaftStorage, type Snapshot } from './storage.ts';

describe('what a member keeps on disk', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'raft-storage-'));
  });
  afterEach(() => rm(root, { recursive: true }));

  test('installs one snapshot while the next ones arrive', async () => {
    const failures: unknown[] = [];
    const configuration = initialConfiguration([{ id: 1, address: 'a' }], false);
    const snapshotAt = (index: number): Snapshot => ({
      index,
      term: 1,
      configuration,
      state: new Uint8Array(100_000).fill(index),
    });
    const options = {
      ...realPorts({ directory: root }),
      directory: 'raft',
      identity: 'test',
      onFailure: (error: unknown) => failures.push(error),
    };
    const storage = await RaftStorage.open(options);
    let persisted = 0;
    storage.onPersisted = (sequence) => {
      persisted = sequence;
    };
    for (const [i, index] of [5, 9, 12].entries()) {
      storage.receive(snapshotAt(index));
      const snapshot = { index, term: 1 };
      const nothing = { hardState: undefined, truncateTo: undefined, batches: [] };
      storage.write({ sequence: i + 1, snapshot, ...nothing });
    }
    // One that the core never asks for, because a newer one came.
    storage.receive(snapshotAt(14));
    while (persisted < 3 && failures.length === 0) await new Promise(setImmediate);
    expect(failures).toEqual([]);
    await storage.close();
    const again = await RaftStorage.open(options);
    expect(again.snapshot).toMatchObject({ index: 12, state: snapshotAt(12).state });
    await again.close();
  });
});
