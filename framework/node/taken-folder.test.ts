import { cp, lstat, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VarlogError } from '../base/index.ts';
import { RealDisk } from '../runtime/index.ts';
import { closeAll, closers, eventually, Observed } from './observed.fixture.ts';

afterEach(closeAll);

/** A copy has no lock, as those who make backups leave sockets out. */
const isNoSocket = async (path: string): Promise<boolean> => !(await lstat(path)).isSocket();

/** Takes a folder away from under a node; its open files can be written on. */
async function takeAway(it: Observed, directory: string): Promise<void> {
  await it.disk.rename(directory, `taken/${directory}`);
}

test('a node whose storage folder is taken away acknowledges nothing more and is of no use', async () => {
  const it = await Observed.start();
  const topic = await (await it.connect()).createTopic();
  await topic.append('x');
  await takeAway(it, 'storage-1');
  await eventually(async () => {
    const error: unknown = await topic.append('y', { timeoutMs: 500 }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(VarlogError);
  });
  await eventually(async () => {
    expect(await it.page('/livez')).toMatchObject({
      status: 503,
      text: expect.stringMatching(
        /taken away from under this node: \/storage-1\/identity.*bring the folder back/,
      ),
    });
  });
  // Nothing is made in its place, which would be taken for the folder.
  const again = await it.connect();
  await again.createTopic({ timeoutMs: 2_000 }).catch(() => {});
  expect(await it.disk.list('storage-1')).toEqual([]);
  await it.node.close().catch(() => {});
  expect(await it.disk.list('storage-1')).toEqual([]);
}, 60_000);

test('so is one whose write-ahead log is taken away', async () => {
  const it = await Observed.start();
  const topic = await (await it.connect()).createTopic({ logStreams: 8 });
  await eventually(async () => {
    await Promise.all(Array.from({ length: 8 }, () => topic.append('x')));
    expect(await it.disk.list('storage-1')).toContain('write-ahead');
  });
  await eventually(async () => {
    await takeAway(it, 'storage-1/write-ahead').catch(() => {});
    expect((await it.page('/readyz')).text).toMatch(
      /taken away from under this node: \/storage-1\/write-ahead.*bring the folder back/,
    );
  });
}, 60_000);

test('a replica whose folder is taken away fails', async () => {
  const it = await Observed.start();
  const topic = await (await it.connect()).createTopic({ logStreams: 2 });
  await topic.append('x');
  await takeAway(it, 'storage-1/replicas/2');
  await eventually(async () => {
    const states = await it.metric('replica_state');
    expect(states).toContain('varlog_replica_state{topic="1",log_stream="2",state="failed"} 1');
    expect(states).toContain('varlog_replica_state{topic="1",log_stream="1",state="open"} 1');
  });
  const { text } = await it.page('/readyz');
  expect(text).toMatch('storage-1/replicas/2');
}, 60_000);

test.each(['storage-1', 'metadata-1'])(
  'a copy in the place of %s is not taken for it',
  async (directory) => {
    const root = await mkdtemp(join(tmpdir(), 'varlog-'));
    closers.push(() => rm(root, { recursive: true, force: true }));
    const it = await Observed.start({}, new RealDisk(root));
    await (await it.connect()).createTopic();
    await cp(join(root, directory), join(root, 'copy'), { recursive: true, filter: isNoSocket });
    await rename(join(root, directory), join(root, 'taken'));
    await rename(join(root, 'copy'), join(root, directory));
    await eventually(async () => {
      expect((await it.page('/readyz')).text).toMatch(/taken away from under this node/);
    });
  },
  60_000,
);

test('a member of the metadata repository whose folder is taken away decides nothing more', async () => {
  const it = await Observed.start();
  const varlog = await it.connect();
  await varlog.createTopic();
  await takeAway(it, 'metadata-1');
  await eventually(async () => {
    const error: unknown = await varlog.createTopic({ timeoutMs: 500 }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(VarlogError);
    expect((await it.page('/readyz')).text).toMatch(
      /taken away from under this node: .*metadata-1/,
    );
  });
}, 60_000);
