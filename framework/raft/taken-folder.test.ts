import { mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lastValueFrom } from 'rxjs';
import { freeAddresses } from '../testing/free-addresses.ts';
import { openRaftGroup, openRaftHost, type RaftGroup, type VarlogError } from './index.ts';

const command = [new TextEncoder().encode('x')];
let root: string;
let directory: string;
let member: { groupId: string; memberId: number; members: { id: number; address: string }[] };

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'varlog-'));
  directory = join(root, 'member');
  const [address] = await freeAddresses(1);
  member = { groupId: 'orders', memberId: 1, members: [{ id: 1, address: address! }] };
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** What is at the path now: until the loss is seen, something may have been written there. */
const left = (): Promise<string[]> => readdir(directory, { recursive: true }).catch(() => []);

/** Takes the folder away; the member ends by itself, although nothing is appended. */
async function takeAway(group: RaftGroup, failed: VarlogError[]): Promise<void> {
  await group.append(command);
  await rename(directory, join(root, 'taken'));
  expect((await lastValueFrom(group.status$)).role).toBe('closed');
  const because = {
    code: 'DISK_FAILED',
    message: expect.stringMatching(/taken away.*bring.*back/),
  };
  expect(failed).toMatchObject([because]);
  await expect(group.append(command)).rejects.toMatchObject(because);
}

test('a member whose folder is taken away ends, and writes nothing more in its place', async () => {
  const failed: VarlogError[] = [];
  const onFailure = (error: VarlogError): void => {
    failed.push(error);
  };
  const node = await openRaftGroup({ ...member, directory, onFailure });
  await takeAway(node.group, failed);
  const before = await left();
  await node.close();
  expect(await left()).toEqual(before);
  await rm(directory, { recursive: true, force: true });
  await rename(join(root, 'taken'), directory);
  await using again = await openRaftGroup({ ...member, directory });
  expect(await again.group.append(command)).toBeGreaterThan(1);
});

test('so do all members of a host, which opens none any more', async () => {
  const failed: VarlogError[] = [];
  const onFailure = (error: VarlogError): void => {
    failed.push(error);
  };
  const { address } = member.members[0]!;
  const host = await openRaftHost({ address, directory });
  await takeAway(await host.openGroup({ ...member, onFailure }), failed);
  await expect(host.openGroup({ ...member, groupId: 'other' })).rejects.toMatchObject({
    code: 'DISK_FAILED',
  });
  const before = await left();
  await host.close();
  expect(await left()).toEqual(before);
});
