import fc from 'fast-check';
import { SegmentedLog } from '../../store/index.ts';
import { SeededRandom, SimulatedDisk } from '../../testing/index.ts';
import type { Commit } from '../core/index.ts';
import { CommitTable } from './commit-table.ts';

/** Commits side by side in LLSN, with gaps in GLSN where other log streams have records. */
function commitsOf(sizes: readonly { count: number; gap: number }[], from = 1): Commit[] {
  let llsn = 1;
  let glsn = 1;
  return sizes.map(({ count, gap }, i) => {
    const commit = { logStreamId: 1, epoch: 1 + (i >> 4), version: from + i, llsn, glsn, count };
    llsn += count;
    glsn += count + gap;
    return commit;
  });
}

const sizes = (maxLength: number) =>
  fc.array(fc.record({ count: fc.integer({ min: 1, max: 5 }), gap: fc.nat(3) }), { maxLength });

function onDisk() {
  const disk = new SimulatedDisk({ random: new SeededRandom(1) });
  const open = (): Promise<CommitTable> =>
    CommitTable.open({
      disk,
      directory: 'commits',
      label: 'log stream 1 commits',
      logStreamId: 1,
      onFailure: (error) => {
        throw error;
      },
    });
  return { disk, open };
}

async function compare(table: CommitTable, commits: readonly Commit[]): Promise<void> {
  expect(table.last).toEqual(commits.at(-1));
  for (const it of commits) expect(await table.at(it.version)).toEqual(it);
  const last = commits.at(-1);
  const lastGlsn = last === undefined ? 0 : last.glsn + last.count - 1;
  for (let glsn = commits[0]?.glsn ?? 1; glsn <= lastGlsn + 2; glsn++) {
    const due = commits.find((it) => it.glsn + it.count - 1 >= glsn);
    expect(await table.findByGlsn(glsn)).toEqual(due);
  }
  for (let llsn = commits[0]?.llsn ?? 1; llsn <= (last?.llsn ?? 0) + 6; llsn++) {
    const due = commits.find((it) => it.llsn + it.count - 1 >= llsn);
    expect(await table.findByLlsn(llsn)).toEqual(due);
  }
}

test('finds what was put in, and after a cut and a restart what is left', async () => {
  await fc.assert(
    fc.asyncProperty(sizes(40), fc.nat(40), async (list, kept) => {
      const { open } = onDisk();
      const commits = commitsOf(list);
      const table = await open();
      for (const it of commits) table.append(it);
      await compare(table, commits);
      const left = commits.slice(0, kept);
      if (kept < commits.length) await table.truncate(kept);
      await compare(table, left);
      await table.close();
      const again = await open();
      await compare(again, left);
      await again.close();
    }),
    { numRuns: 40 },
  );
});

test('many more than it keeps in memory are found too', async () => {
  const { open } = onDisk();
  const table = await open();
  const list = Array.from({ length: 10_000 }, (_, i) => ({ count: 1 + (i % 3), gap: i % 2 }));
  const commits = commitsOf(list);
  for (const it of commits) table.append(it);
  await table.flush();
  expect(table.persistedVersion).toBe(10_000);
  for (const i of [0, 1, 255, 256, 257, 1_500, 5_903, 5_904, 9_999]) {
    const it = commits[i]!;
    expect(await table.at(it.version)).toEqual(it);
    expect(await table.findByLlsn(it.llsn)).toEqual(it);
    expect(await table.findByGlsn(it.glsn)).toEqual(it);
  }
  await table.close();
});

test('what did not become durable before the disk failed is not looked for for ever', async () => {
  const disk = new SimulatedDisk({ random: new SeededRandom(1) });
  let isBroken = false;
  disk.faults = { fail: ({ kind }) => (isBroken && kind === 'write' ? 'EIO' : undefined) };
  let onFailure: (error: unknown) => void = () => {};
  const failed = new Promise<unknown>((resolve) => {
    onFailure = resolve;
  });
  const label = 'log stream 1 commits';
  const where = { disk, directory: 'commits', label, logStreamId: 1 };
  const table = await CommitTable.open({ ...where, onFailure });
  // Of the newest ones in memory, the first lies between two places that a search looks at first.
  const commits = commitsOf(
    Array.from({ length: 2_049 }, () => ({ count: 1, gap: 0 })),
    900,
  );
  await table.reset(900);
  for (const it of commits.slice(0, 901)) table.append(it);
  await table.flush();
  isBroken = true;
  for (const it of commits.slice(901)) table.append(it);
  table.flush().catch(() => {});
  await failed;
  for (const i of [905, 950, 1_023]) {
    const { llsn, glsn, version } = commits[i]!;
    await expect(table.findByLlsn(llsn)).rejects.toMatchObject({ code: 'DISK_FAILED' });
    await expect(table.findByGlsn(glsn)).rejects.toMatchObject({ code: 'DISK_FAILED' });
    await expect(table.at(version)).rejects.toMatchObject({ code: 'DISK_FAILED' });
    await expect(table.range(version, table.version)).rejects.toMatchObject({
      code: 'DISK_FAILED',
    });
  }
  // What is durable, and what is in memory, is found as before.
  for (const i of [0, 900, 1_025, 2_048]) {
    expect(await table.findByLlsn(commits[i]!.llsn)).toEqual(commits[i]);
  }
});

test('a power loss takes only what was not flushed', async () => {
  const { disk, open } = onDisk();
  const commits = commitsOf(Array.from({ length: 30 }, () => ({ count: 2, gap: 1 })));
  const table = await open();
  for (const it of commits.slice(0, 20)) table.append(it);
  await table.flush();
  for (const it of commits.slice(20)) table.append(it);
  disk.crash('powerLoss');
  table.close().catch(() => {});
  const again = await open();
  expect(again.version).toBeGreaterThanOrEqual(20);
  await compare(again, commits.slice(0, again.version));
});

test('a commit of a later version is refused, and left as it is', async () => {
  const { disk, open } = onDisk();
  const [commit] = commitsOf([{ count: 1, gap: 0 }]);
  const table = await open();
  table.append(commit!);
  await table.flush();
  await table.close();
  const label = 'log stream 1 commits';
  const log = await SegmentedLog.open({ disk, directory: 'commits', label });
  log.append([{ position: 2, count: 1, epoch: 1, payload: new Uint8Array(25) }]);
  await log.close();
  const before = disk.files();
  await expect(open()).rejects.toMatchObject({
    code: 'FORMAT_UNKNOWN',
    message: expect.stringMatching(/commit 2 in \/commits has 25 bytes.*upgrade/s),
  });
  expect(disk.files()).toEqual(before);
  expect(disk.openFiles).toBe(0);
});
