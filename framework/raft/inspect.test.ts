import { createHash } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VarlogError } from '../base/index.ts';
import { RealDisk, realPorts } from '../runtime/index.ts';
import { freeAddresses } from '../testing/free-addresses.ts';
import { bytes, GroupFixture } from './group.fixture.ts';
import { RaftHost } from './host.ts';
import { type InspectedEntry, inspectMember } from './inspect.ts';

let root: string;
let end: () => Promise<void>;
let incarnation: string | undefined;
afterEach(() => end());

const inspect = (directory = '1', groupId?: string) =>
  inspectMember({ disk: new RealDisk(root), directory, groupId });

/** The folder of a member that was alone in its group, and has stopped. */
async function stopped(...commands: string[]): Promise<GroupFixture> {
  const fixture = await GroupFixture.start(1, { retain: { entries: 0 } });
  root = fixture.root;
  end = () => fixture.end();
  const leader = await fixture.leader();
  for (const it of commands) await leader.append([bytes(it)]);
  incarnation = await leader.identity();
  return fixture;
}

async function files(): Promise<Map<string, string>> {
  const found = await readdir(root, { recursive: true, withFileTypes: true });
  const all = found.map(async (it): Promise<[string, string]> => {
    const path = join(it.parentPath, it.name);
    const content = it.isFile() ? await readFile(path) : it.name;
    return [path, createHash('sha256').update(content).digest('hex')];
  });
  return new Map(await Promise.all(all));
}

async function segment(): Promise<string> {
  const names = await readdir(join(root, '1/entries'));
  return join(root, '1/entries', names.find((it) => it.endsWith('.segment'))!);
}

async function flip(path: string, of: string): Promise<number> {
  const content = await readFile(path);
  const at = content.indexOf(of);
  content[at]! ^= 1;
  await writeFile(path, content);
  return at;
}

test('tells what a member has, with every entry, and changes nothing', async () => {
  const fixture = await stopped('one', 'two');
  await fixture.groups.get(1)!.compact(2, bytes('the state'));
  await fixture.groups.get(1)!.append([bytes('three'), bytes('four')]);
  await fixture.stop(1);
  const before = await files();
  // As of a disk that can only be read.
  for (const path of before.keys()) if ((await stat(path)).isFile()) await chmod(path, 0o400);
  const entries: InspectedEntry[] = [];
  const member = await inspectMember({ disk: new RealDisk(root), directory: '1' }, (it) =>
    entries.push(it),
  );
  expect(await files()).toEqual(before);
  expect(member).toMatchObject({
    groupId: 'test',
    memberId: 1,
    disk: { identity: incarnation, incarnation: expect.stringMatching(/./) },
    hardState: { vote: 1 },
    snapshot: { index: 2, size: 9 },
    members: { configuration: { voters: [1], identity: incarnation } },
    tornEnds: [],
    remains: [],
    damage: [],
  });
  expect(member.entries).toMatchObject({ last: 5, lastTerm: member.hardState!.term });
  const commands = entries.filter((it) => it.kind === 'command');
  const texts = commands.map((it) => [it.index, Buffer.from(it.value).toString()]);
  expect(texts.slice(-2)).toEqual([
    [4, 'three'],
    [5, 'four'],
  ]);
});

test('the torn end of an interrupted write is named and left, and is no damage', async () => {
  const fixture = await stopped('one');
  await fixture.stop(1);
  const path = await segment();
  const content = await readFile(path);
  const after = content.findLastIndex((it) => it !== 0) + 1;
  content.fill(0xaa, after + 8, after + 40);
  await writeFile(path, content);
  const before = await files();
  const { tornEnds, damage, entries } = await inspect();
  expect(await files()).toEqual(before);
  expect(damage).toEqual([]);
  expect(entries!.last).toBe(2);
  const offset = tornEnds[0]!.offset;
  expect(tornEnds).toEqual([
    { path: expect.stringMatching(/^1\/entries\//), offset, bytes: content.length - offset },
  ]);
  expect(offset).toBeLessThanOrEqual(after + 8);
});

test('a flipped bit in an entry is told with file and byte, beside all that can be read', async () => {
  const fixture = await stopped('one', 'command-two', 'three');
  await fixture.stop(1);
  const at = await flip(await segment(), 'command-two');
  const { damage, hardState, disk, entries } = await inspect();
  expect(damage).toMatchObject([{ code: 'CORRUPT', path: expect.stringMatching(/\.segment$/) }]);
  expect(damage[0]!.offset).toBeLessThan(at);
  expect(damage[0]!.offset).toBeGreaterThan(at - 100);
  expect(hardState).toMatchObject({ vote: 1 });
  expect(disk?.identity).toBe(incarnation);
  expect(entries).toBeUndefined();
});

test.each(['snapshot', 'members', 'hard-state'])('a flipped bit in %s is told', async (name) => {
  const fixture = await stopped('one', 'two');
  await fixture.groups.get(1)!.compact(2, bytes('the state'));
  await fixture.stop(1);
  const path = join(root, '1', name);
  const content = await readFile(path);
  content[content.length - 1]! ^= 4;
  await writeFile(path, content);
  const { damage, memberId } = await inspect();
  expect(damage).toMatchObject([{ code: 'CORRUPT', path }]);
  expect(memberId).toBe(1);
});

test('one that runs, that is none, or that nobody named, is refused', async () => {
  const fixture = await stopped('one');
  await expect(inspect()).rejects.toMatchObject({ code: 'DIRECTORY_IN_USE' });
  await fixture.stop(1);
  const before = await files();
  await expect(inspect('nowhere')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(await files()).toEqual(before);
});

test('a member of a group on a host is found by the name of the group', async () => {
  root = await mkdtemp(join(tmpdir(), 'raft-inspect-'));
  end = () => rm(root, { recursive: true });
  const [address = ''] = await freeAddresses(1);
  const ports = realPorts({ directory: root, logLevel: 'silent' });
  const host = await RaftHost.open({ ports, address, directory: 'raft' });
  for (const groupId of ['users', 'orders']) {
    const group = await host.openGroup({ groupId, memberId: 1, members: [{ id: 1, address }] });
    await group.append([bytes(groupId)]);
  }
  await expect(inspect('.', 'users')).rejects.toMatchObject({ code: 'DIRECTORY_IN_USE' });
  await host.close();
  const before = await files();
  expect(await inspect('.', 'orders')).toMatchObject({
    ...{ groupId: 'orders', damage: [], hardState: { vote: 1 }, entries: { last: 2 } },
  });
  expect(await files()).toEqual(before);
  const error = await inspect('.').catch((it: unknown) => it);
  expect(VarlogError.is(error, 'INVALID_ARGUMENT') && error.message).toMatch(/orders, users/);
});
