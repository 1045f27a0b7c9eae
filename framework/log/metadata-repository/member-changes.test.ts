import { noLogger } from '../../base/index.ts';
import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { freeAddresses } from '../../testing/free-addresses.ts';
import { SimulatedDisk } from '../../testing/simulator/disk.ts';
import { Hello, Ordering, SessionRequest } from '../../wire/gen/log.ts';
import { FIRST_FEATURE_LEVEL, NEWEST_FEATURE_LEVEL } from '../core/index.ts';
import { type MemberOrder, type MetadataRepository, startMetadataRepository } from './index.ts';
import type { MetadataRepositoryOptions } from './repository-access.ts';

/** Members of a metadata repository on the loopback interface, one after the other. */
class Fixture {
  readonly addresses: string[];
  readonly running = new Map<number, { repository: MetadataRepository; close(): Promise<void> }>();
  private readonly disks = new Map<number, SimulatedDisk>();

  private constructor(addresses: string[]) {
    this.addresses = addresses;
  }

  /** One member that leads. */
  static async start(): Promise<Fixture> {
    const fixture = new Fixture(await freeAddresses(5));
    const one = await fixture.open(1, { members: [fixture.member(1)] });
    await until(() => one.orderer !== undefined);
    return fixture;
  }

  member(id: number, at = id): { id: number; address: string } {
    return { id, address: this.addresses[at - 1]! };
  }

  /** Started to be added, unless said otherwise, with the disk that it had, if any. */
  async open(
    id: number,
    options: Partial<MetadataRepositoryOptions> = {},
    at = id,
  ): Promise<MetadataRepository> {
    const network = new GrpcNetwork();
    const disk = this.disks.get(id) ?? new SimulatedDisk({ random: realRandom });
    this.disks.set(id, disk);
    const repository = await startMetadataRepository({
      ports: { clock: realClock(), random: realRandom, disk, network, logger: noLogger },
      clusterId: 7,
      memberId: id as never,
      members: [this.member(1), this.member(id, at)],
      join: id !== 1,
      directory: 'metadata',
      replicationFactor: 1,
      ...options,
    });
    const server = await network.serve(this.addresses[at - 1]!, repository.handlers);
    const close = async (): Promise<void> => {
      await repository.close();
      await server.close();
      this.running.delete(id);
    };
    this.running.set(id, { repository, close });
    return repository;
  }

  /** Nothing is left of its disk. */
  async wipe(id: number): Promise<void> {
    await this.running.get(id)?.close();
    this.disks.delete(id);
  }

  get leader(): MetadataRepository {
    return [...this.running.values()].find((it) => it.repository.orderer)!.repository;
  }

  async change(order: MemberOrder): Promise<void> {
    await until(() => [...this.running.values()].some((it) => it.repository.orderer));
    await this.leader.memberChanges.change(order, { timeoutMs: 20_000 });
  }

  add(id: number): Promise<void> {
    return this.change({ kind: 'add', member: this.member(id) });
  }

  /** Ids of those who vote, as the leader knows it. */
  get voters(): number[] {
    return this.leader.members.filter((it) => !it.learner).map((it) => it.id);
  }

  async end(): Promise<void> {
    for (const it of [...this.running.values()]) await it.close();
  }
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('changes of the members of the metadata repository', () => {
  let fixture: Fixture;
  beforeEach(async () => {
    fixture = await Fixture.start();
  });
  afterEach(() => fixture.end());

  test('one that waits to be added sends whoever asks it to the others, before the time of the call is up and with nothing in doubt', async () => {
    const joins = await fixture.open(2);
    const refusal = { code: 'NOT_LEADER', outcome: 'notAppended' };
    await Promise.all([
      expect(joins.read(() => {})).rejects.toMatchObject(refusal),
      expect(joins.confirmedOrderer()).rejects.toMatchObject(refusal),
      expect(joins.execute({ kind: 'restoreTopic', id: 1 as never })).rejects.toMatchObject(
        refusal,
      ),
    ]);
    const reads = joins.read(({ featureLevel }) => featureLevel);
    await fixture.add(2);
    expect(await reads).toBe(NEWEST_FEATURE_LEVEL);
  }, 30_000);

  test('one that is added says before that it waits, and votes afterwards with all that there is', async () => {
    const id = await fixture.leader.execute({ kind: 'registerTopic', id: 0, acknowledge: 'all' });
    const two = await fixture.open(2);
    expect(two.notReady().join()).toContain(`varlog member add 2=${fixture.addresses[1]}`);
    await fixture.add(2);
    await fixture.add(2);
    expect(fixture.voters).toEqual([1, 2]);
    expect(fixture.leader.memberChanges.underWay).toBeUndefined();
    await until(() => two.metadata.topics.has(id));
    expect(two.notReady()).toEqual([]);
    expect(two.cluster).toBe(fixture.leader.cluster);
  });

  test('what is asked for beside another change is refused with what is under way', async () => {
    await fixture.open(2);
    const adding = fixture.add(2);
    await until(() => fixture.leader.memberChanges.underWay !== undefined);
    expect(fixture.leader.memberChanges.underWay).toContain('adding member 2');
    await expect(fixture.add(3)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/adding member 3 .*adding member 2 .*is under way/),
      outcome: 'notAppended',
    });
    await adding;
  });

  test.each([
    [
      'nobody answers there',
      async () => {},
      { code: 'UNREACHABLE', message: expect.stringContaining('nothing was changed') },
    ],
    [
      'it began a cluster of its own',
      async (at: Fixture) => {
        const other = await at.open(2, { members: [at.member(2)], join: false });
        await until(() => other.cluster !== undefined);
      },
      { code: 'CLUSTER_MISMATCH', message: expect.stringContaining('empty its directory') },
    ],
    [
      'it has another id',
      (at: Fixture) => at.open(3, {}, 2),
      { code: 'FAILED_PRECONDITION', message: expect.stringContaining('--member-id 2') },
    ],
    [
      'its version does not know what the cluster has agreed on',
      async (at: Fixture) => {
        await until(() => at.leader.metadata.featureLevel === NEWEST_FEATURE_LEVEL);
        await at.open(2, { supportedLevel: FIRST_FEATURE_LEVEL });
      },
      {
        code: 'FAILED_PRECONDITION',
        message: expect.stringContaining(`supports feature level ${FIRST_FEATURE_LEVEL}`),
      },
    ],
  ] as const)('one is not added when %s', async (_, prepare, refusal) => {
    await prepare(fixture);
    const leader = fixture.running.get(1)!.repository;
    const order = { kind: 'add', member: fixture.member(2) } as const;
    const adding = leader.memberChanges.change(order, { timeoutMs: 20_000 });
    await expect(adding).rejects.toMatchObject({ ...refusal, outcome: 'notAppended' });
    expect(leader.members).toEqual([{ ...fixture.member(1), learner: false }]);
  });

  test('one with an emptied disk is not taken for itself, and is replaced at the same address', async () => {
    for (const id of [2, 3]) {
      await fixture.open(id);
      await fixture.add(id);
    }
    await fixture.wipe(2);
    const emptied = await fixture.open(2);
    await expect(fixture.add(2)).rejects.toMatchObject({
      code: 'DISK_LOST',
      outcome: 'notAppended',
    });
    expect(fixture.voters).toEqual([1, 2, 3]);
    expect(emptied.orderer).toBeUndefined();
    await fixture.wipe(2);
    await fixture.open(4, {}, 2);
    const member = fixture.member(4, 2);
    await fixture.change({ kind: 'add', member, replaces: 2 });
    await fixture.change({ kind: 'add', member, replaces: 2 });
    expect(fixture.voters.sort()).toEqual([1, 3, 4]);
    await fixture.running.get(1)!.close();
    await until(() => [...fixture.running.values()].some((it) => it.repository.orderer));
    await fixture.leader.execute({ kind: 'registerTopic', id: 0, acknowledge: 'all' });
  });

  test('one that moved is known at its new address, and not where somebody else is', async () => {
    await fixture.open(2);
    await fixture.add(2);
    const taken = fixture.change({ kind: 'move', member: fixture.member(2, 1) });
    await expect(taken).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    await fixture.running.get(2)!.close();
    await fixture.open(2, { join: false }, 5);
    await fixture.change({ kind: 'move', member: fixture.member(2, 5) });
    expect(fixture.leader.members).toContainEqual({ ...fixture.member(2, 5), learner: false });
  });

  test('one that was added and leads is asked by the others what storage nodes support', async () => {
    const supportedLevel = NEWEST_FEATURE_LEVEL - 2;
    const [node] = await freeAddresses(1);
    await fixture.wipe(1);
    await fixture.open(1, { members: [fixture.member(1)], supportedLevel });
    for (const id of [2, 3]) {
      await fixture.open(id, { supportedLevel });
      await fixture.add(id);
    }
    await fixture.running.get(1)!.close();
    await until(() => [...fixture.running.values()].some((it) => it.repository.orderer));
    const leader = fixture.leader;
    await until(() => leader.metadata.featureLevel === supportedLevel);
    // It was started before the others were members, and is again as it was.
    const one = await fixture.open(1, { members: [fixture.member(1)], supportedLevel });
    await until(() => one.status.leader !== undefined);
    const channel = new GrpcNetwork().connect(fixture.addresses[leader.options.memberId - 1]!);
    const session = channel.open(Ordering.Session);
    const heard = new Promise<void>((resolve) => {
      session.receive(() => {
        session.send(SessionRequest.create({}));
        resolve();
      });
    });
    const about = { clusterId: 7, storageNodeId: 1, address: node!, disk: 'd', incarnation: 'p' };
    const hello = Hello.create({ ...about, supportedLevel: NEWEST_FEATURE_LEVEL });
    session.send(SessionRequest.create({ hello }));
    await heard;
    const command = { kind: 'addConsumer', topicId: 1, name: 'c', begin: 'start' } as const;
    await expect(one.execute(command)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      details: { members: [1, 2, 3], storageNodes: [] },
    });
    session.cancel();
    session.closed.catch(() => {});
    channel.close();
  });

  test('one that was removed ends, and says so; the last one is not removed', async () => {
    const two = await fixture.open(2);
    await fixture.add(2);
    const leader = fixture.running.get(1)!.repository;
    await fixture.change({ kind: 'remove', id: 1 });
    await until(() => leader.failure !== undefined);
    expect(leader.failure).toMatchObject({ code: 'MEMBER_REMOVED' });
    expect(leader.notReady().join()).toContain('was removed');
    await until(() => two.orderer !== undefined);
    await expect(fixture.change({ kind: 'remove', id: 2 })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      outcome: 'notAppended',
    });
    await expect(fixture.change({ kind: 'remove', id: 1 })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});
