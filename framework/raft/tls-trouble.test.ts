import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Authority } from '../runtime/certificates.fixture.ts';
import { realPorts } from '../runtime/index.ts';
import { freeAddresses } from '../testing/free-addresses.ts';
import { RaftGroup } from './group.ts';

test('a member whose certificate the others do not accept is told of, once', async () => {
  const root = await mkdtemp(join(tmpdir(), 'raft-tls-'));
  const authorities = [new Authority('one'), new Authority('another')];
  const addresses = await freeAddresses(2);
  const members = addresses.map((address, i) => ({ id: i + 1, address }));
  const closers: (() => Promise<void>)[] = [];
  try {
    const told = await new Promise<object>((resolve, reject) => {
      const open = async (id: number): Promise<void> => {
        const authority = authorities[id - 1]!;
        const tls = { ca: authority.ca, ...authority.issue('IP:127.0.0.1') };
        const logger = {
          log: (_: string, event: string, fields?: object) => {
            if (id === 1 && event === 'raft.refusedBy') resolve(fields!);
          },
        };
        const ports = { ...realPorts({ directory: root, tls, logLevel: 'silent' }), logger };
        const options = { ports, groupId: 'test', memberId: id, members, directory: `${id}` };
        const group = await RaftGroup.open(options);
        closers.push(() => group.close());
        const server = await ports.network.serve(addresses[id - 1]!, group.handlers);
        closers.push(() => server.close());
      };
      Promise.all([open(1), open(2)]).catch(reject);
    });
    const error = expect.stringMatching(
      /UNREACHABLE: no TLS connection to .*certificate.*authority/,
    );
    expect(told).toEqual({ group: 'test', by: 2, error });
  } finally {
    for (const close of closers.reverse()) await close();
    for (const it of authorities) it.remove();
    await rm(root, { recursive: true });
  }
}, 30_000);
