import { appendFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GroupFixture } from '../../raft/group.fixture.ts';
import { RaftHost } from '../../raft/host.ts';
import { realPorts } from '../../runtime/index.ts';
import { freeAddresses } from '../../testing/free-addresses.ts';
import { varlog } from '../in-process-cli.fixture.ts';

const GROUPS = ['gone', 'stays'];
let root: string;
let address: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'raft-destroy-'));
  [address] = (await freeAddresses(1)) as [string];
});
afterEach(() => rm(root, { recursive: true }));

function openHost(): Promise<RaftHost> {
  const ports = realPorts({ directory: root, logLevel: 'silent' });
  return RaftHost.open({ ports, address, directory: 'host' });
}

function open(host: RaftHost, groupId: string): ReturnType<RaftHost['openGroup']> {
  return host.openGroup({ groupId, memberId: 1, members: [{ id: 1, address }] });
}

/** A host with two groups that has been stopped; resolves with the identity of the first one. */
async function stopped(): Promise<string> {
  await using host = await openHost();
  const [gone] = await Promise.all(
    GROUPS.map(async (it) => {
      const group = await open(host, it);
      // With the second one its disk hears which group it is.
      for (const it of [1, 2]) await group.append([Uint8Array.of(it)]);
      return group;
    }),
  );
  return gone!.identity();
}

const destroy = (folder: string, ...more: string[]): ReturnType<typeof varlog> =>
  varlog(['raft-destroy', join(root, folder), '--json', ...more]);

test('a member is destroyed where its host does not run, by the identity of its group', async () => {
  const identity = await stopped();
  const member = { groupId: 'gone', memberId: 1, identity };
  const order = ['--group', 'gone', '--identity', identity];

  const asked = await destroy('host', '--group', 'gone');
  expect(JSON.parse(asked.out)).toEqual({ ...member, destroyed: false });
  const wrong = await destroy('host', '--group', 'gone', '--identity', 'another');
  expect(wrong).toMatchObject({ out: '', err: expect.stringContaining('CLUSTER_MISMATCH') });
  expect(await readdir(join(root, 'host', 'groups'))).toEqual(expect.arrayContaining(GROUPS));

  for (let time = 0; time < 2; time++) {
    const done = await destroy('host', ...order);
    expect([done.code, JSON.parse(done.out)]).toEqual([0, { ...member, destroyed: true }]);
  }
  expect(await readdir(join(root, 'host', 'groups'))).toEqual(['stays']);
  await using host = await openHost();
  expect(host.destroyed).toEqual([member]);
  await expect(open(host, 'gone')).rejects.toMatchObject({ code: 'GROUP_DESTROYED' });
  const stays = await open(host, 'stays');
  expect(await stays.append([Uint8Array.of(3)])).toBeGreaterThan(3);
});

test('to ask changes nothing, not even what an interrupted write left', async () => {
  const identity = await stopped();
  const journal = join(root, 'host', 'journal');
  const [newest] = (await readdir(journal)).filter((it) => it.endsWith('.segment')).sort();
  const segment = join(journal, newest!);
  await appendFile(segment, Buffer.alloc(37, 5));
  const before = await readFile(segment);
  const asked = await destroy('host', '--group', 'gone');
  expect(JSON.parse(asked.out)).toMatchObject({ identity, destroyed: false });
  expect((await readFile(segment)).equals(before)).toBe(true);
  expect((await destroy('host', '--group', 'gone', '--identity', identity)).code).toBe(0);
});

test('nothing is destroyed under a host that runs, and nothing that is not there', async () => {
  const identity = await stopped();
  const order = ['--group', 'gone', '--identity', identity];
  {
    await using host = await openHost();
    const running = await destroy('host', ...order);
    expect(running).toMatchObject({ out: '', err: expect.stringContaining('DIRECTORY_IN_USE') });
    expect(host.destroyed).toEqual([]);
  }
  const unknown = await destroy('host', '--group', 'other', '--identity', identity);
  expect(unknown).toMatchObject({ out: '', err: expect.stringContaining('NOT_FOUND') });
  expect(unknown.err).toContain('it has: gone, stays');
  const inspected = await varlog(['raft-inspect', join(root, 'host'), '--group', 'other']);
  expect(inspected).toMatchObject({ code: 4, err: expect.stringContaining('it has: gone, stays') });
  for (const more of [[], ['--accept-loss']]) {
    const restored = await varlog([
      ...['raft-restore', '--group', 'other', '--member', '1', '--address', address],
      ...['--directory', join(root, 'host'), ...more],
    ]);
    expect(restored.err).toMatch(/FAILED_PRECONDITION: .*it has: gone, stays/);
  }
  const nowhere = await destroy('nowhere', ...order);
  expect(nowhere).toMatchObject({ out: '', err: expect.stringContaining('NOT_FOUND') });
  // No folder is made by asking.
  expect(await readdir(root)).toEqual(['host']);
});

test('a member that is on no host is its folder: it is said how to part with it', async () => {
  const fixture = await GroupFixture.start(1);
  await (await fixture.leader()).append([Uint8Array.of(1)]);
  await fixture.stop(1);
  const { out, err } = await varlog([
    ...['raft-destroy', join(fixture.root, '1')],
    ...['--group', 'test', '--identity', 'x'],
  ]);
  expect(out).toBe('');
  expect(err).toMatch(/FAILED_PRECONDITION.* on no host/s);
  await fixture.end();
});
