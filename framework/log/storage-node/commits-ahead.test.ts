import { SeededRandom, SimulatedDisk } from '../../testing/index.ts';
import type { Commit } from '../core/index.ts';
import { CommitTable } from './commit-table.ts';
import { CommitsAhead } from './commits-ahead.ts';

const COMMITS = 20_000;
const commitOf = (version: number): Commit => ({
  ...{ logStreamId: 1, epoch: 1, version, count: 1 },
  ...{ llsn: version, glsn: 2 * version },
});

test('commits that are only on the disk are read many at a time, and each is the one asked for', async () => {
  const table = await CommitTable.open({
    disk: new SimulatedDisk({ random: new SeededRandom(1) }),
    directory: 'commits',
    label: 'log stream 1 commits',
    logStreamId: 1,
    onFailure: (error) => {
      throw error;
    },
  });
  for (let version = 1; version <= COMMITS; version++) table.append(commitOf(version));
  await table.flush();
  let reads = 0;
  const ahead = new CommitsAhead(table, async (read) => {
    reads++;
    return read();
  });
  for (let version = 1; version <= COMMITS; version++) {
    expect(await ahead.at(version)).toEqual(commitOf(version));
  }
  expect(reads).toBeGreaterThan(0);
  expect(reads).toBeLessThan(COMMITS / 500);
  // Back to the beginning, and somewhere else.
  for (const version of [1, 9_999]) expect(await ahead.at(version)).toEqual(commitOf(version));
  await table.close();
});
