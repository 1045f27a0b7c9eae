import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Server } from '../../base/index.ts';
import { realPorts } from '../../runtime/index.ts';
import { freeAddresses } from '../../testing/index.ts';
import { type MetadataRepository, startMetadataRepository } from './repository.ts';

interface News {
  event: string;
  member: number;
  term: number;
  leader?: number;
  before?: number;
  why: string;
}

test('each member says who leads, in which term, and why that changed', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'varlog-leader-'));
  const addresses = await freeAddresses(3);
  const members = addresses.map((address, i) => ({ id: i + 1, address }));
  const news: News[] = [];
  const running = new Map<number, { repository: MetadataRepository; server: Server }>();
  const end = async (id: number): Promise<void> => {
    const { repository, server } = running.get(id)!;
    running.delete(id);
    await server.close();
    await repository.close();
  };
  const heard = async (holds: () => boolean): Promise<void> => {
    const until = Date.now() + 20_000;
    while (!holds()) {
      if (Date.now() > until) throw new Error(JSON.stringify(news));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const leaderOf = (member: number): number | undefined =>
    news.findLast((it) => it.member === member)?.leader;
  const agree = (): boolean => {
    const known = [...running.keys()].map(leaderOf);
    return known[0] !== undefined && running.has(known[0]) && new Set(known).size === 1;
  };
  try {
    for (const { id, address } of members) {
      const ports = {
        ...realPorts({ directory }),
        logger: {
          log: (_: string, event: string, fields: Record<string, unknown> = {}) => {
            if (event.startsWith('the metadata repository has')) {
              news.push({ event, ...fields } as News);
            }
          },
        },
      };
      const repository = await startMetadataRepository({
        ports,
        clusterId: 1,
        memberId: id,
        members,
        directory: `metadata-${id}`,
        replicationFactor: 1,
      });
      running.set(id, {
        repository,
        server: await ports.network.serve(address, repository.handlers),
      });
    }
    await heard(agree);
    const first = leaderOf(1)!;
    const term = news.at(-1)!.term;
    expect(news.findLast((it) => it.member === first)).toMatchObject({
      leader: first,
      why: 'a majority voted for this member',
    });
    news.length = 0;
    await end(first);
    await heard(agree);
    expect(leaderOf([...running.keys()][0]!)).not.toBe(first);
    expect(news.at(-1)!.term).toBeGreaterThan(term);
    expect(news.filter((it) => it.before === first)).toContainEqual(
      expect.objectContaining({
        event: 'the metadata repository has no leader',
        why: expect.any(String),
      }),
    );
  } finally {
    for (const id of [...running.keys()]) await end(id);
    await rm(directory, { recursive: true });
  }
}, 60_000);
