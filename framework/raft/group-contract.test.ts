import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realPorts } from '../runtime/index.ts';
import { orderedLogContract, replicaContract } from '../testing/contracts/index.ts';
import { freeAddresses } from '../testing/free-addresses.ts';
import { RaftGroup } from './group.ts';

describe('Raft group of one member keeps the contract of all ordered logs', () => {
  const make = async () => {
    const root = await mkdtemp(join(tmpdir(), 'raft-'));
    const log = await RaftGroup.open({
      ports: realPorts({ directory: root }),
      groupId: 'contract',
      memberId: 1,
      members: [{ id: 1, address: '127.0.0.1:1' }],
      directory: 'one',
    });
    const close = async (): Promise<void> => {
      await log.close();
      await rm(root, { recursive: true });
    };
    return { log, close };
  };
  for (const { title, run } of orderedLogContract(make)) test(title, run);
  for (const { title, run } of replicaContract(make, { lacks: ['hold', 'trim'] }))
    test(title, run, 30_000);
});

describe('follower of a Raft group of two keeps the contract of all ordered logs', () => {
  const make = async () => {
    const root = await mkdtemp(join(tmpdir(), 'raft-'));
    const ports = realPorts({ directory: root });
    const members = (await freeAddresses(2)).map((address, i) => ({ id: i + 1, address }));
    const groups = await Promise.all(
      members.map(({ id }) =>
        RaftGroup.open({ ports, groupId: 'contract', memberId: id, members, directory: `${id}` }),
      ),
    );
    const servers = await Promise.all(
      groups.map((group, i) => ports.network.serve(members[i]!.address, group.handlers)),
    );
    await groups[0]!.tail();
    const log = groups.find((it) => it.status.role !== 'leader')!;
    const close = async (): Promise<void> => {
      for (const group of groups) await group.close();
      for (const server of servers) await server.close();
      await rm(root, { recursive: true });
    };
    return { log, close };
  };
  for (const { title, run } of orderedLogContract(make)) test(title, run);
  for (const { title, run } of replicaContract(make, { lacks: ['hold', 'trim'] }))
    test(title, run, 30_000);
});
