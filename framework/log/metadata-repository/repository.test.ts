import { type Channel, noLogger, type Ports, VarlogError } from '../../base/index.ts';
import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { freeAddresses } from '../../testing/free-addresses.ts';
import { SimulatedDisk } from '../../testing/simulator/disk.ts';
import {
  ExecuteRequest,
  Hello,
  MembersRequest,
  Ordering,
  SessionRequest,
} from '../../wire/gen/log.ts';
import { Command } from '../../wire/gen/metadata.ts';
import * as mrpb from '../../wire/gen/mrpb.ts';
import { definitionOf, type MetadataCommand, NEWEST_FEATURE_LEVEL } from '../core/index.ts';
import { commandCodec } from '../metadata-codec.ts';
import { type MetadataRepository, startMetadataRepository } from './index.ts';

const service = mrpb.MetadataRepositoryService;

/** Members of one metadata repository, on the loopback interface. */
class Members {
  readonly all: MetadataRepository[] = [];
  private readonly addresses: string[];
  private readonly closers: (() => Promise<void> | void)[] = [];
  private readonly disks = new Map<number, SimulatedDisk>();

  private constructor(addresses: string[]) {
    this.addresses = addresses;
  }

  /** `levels`: what each of them supports. Default: the newest. The last `down` of them are not started. */
  static async start(count: number, levels: readonly number[] = [], down = 0): Promise<Members> {
    const members = new Members(await freeAddresses(count));
    for (let id = 1; id <= count - down; id++) await members.startOne(id, levels[id - 1]);
    return members;
  }

  async leader(): Promise<MetadataRepository> {
    let leader: MetadataRepository | undefined;
    await until(() => {
      leader = this.all.find((it) => it.orderer !== undefined);
      return leader !== undefined;
    });
    await leader!.read(() => {});
    return leader!;
  }

  connect(member: MetadataRepository): Channel {
    const channel = new GrpcNetwork().connect(this.addresses[member.options.memberId - 1]!);
    this.closers.push(() => channel.close());
    return channel;
  }

  async close(): Promise<void> {
    for (const it of this.closers.reverse()) await it();
  }

  /** Ends the member that was started last, and starts it as one that supports the newest level. */
  async upgradeLast(): Promise<void> {
    const { memberId } = this.all.pop()!.options;
    // Its server first: it was opened last.
    await this.closers.pop()!();
    await this.closers.pop()!();
    await this.startOne(memberId);
  }

  private async startOne(id: number, supportedLevel = NEWEST_FEATURE_LEVEL): Promise<void> {
    const network = new GrpcNetwork();
    const disk = this.disks.get(id) ?? new SimulatedDisk({ random: realRandom });
    this.disks.set(id, disk);
    const ports: Ports = {
      clock: realClock(),
      random: realRandom,
      disk,
      network,
      logger: noLogger,
    };
    const repository = await startMetadataRepository({
      ports,
      clusterId: 7,
      memberId: id as never,
      members: this.addresses.map((address, i) => ({ id: (i + 1) as never, address })),
      directory: 'metadata',
      replicationFactor: 1,
      supportedLevel,
    });
    const server = await network.serve(this.addresses[id - 1]!, repository.handlers);
    this.all.push(repository);
    this.closers.push(
      () => repository.close(),
      () => server.close(),
    );
  }
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Log stream 1 of topic 1, open on storage node 1, which has `end` records. */
async function open(leader: MetadataRepository, end: number): Promise<void> {
  const opening = { id: 1, epoch: 1, members: [1], disks: [''], primaryProcess: '' };
  const commands: MetadataCommand[] = [
    { kind: 'registerStorageNode', id: 1, address: 'nowhere:1' },
    { kind: 'registerTopic', id: 1, acknowledge: 'all' },
    { kind: 'registerLogStream', id: 1, topicId: 1, replicas: [1] },
    { kind: 'unseal', ...opening },
  ];
  for (const it of commands) {
    const [sender = 'leader'] = definitionOf(it).senders;
    await leader.execute(it, { sender });
  }
  const report = { logStreamId: 1, epoch: 1, end, persistedVersion: 0, state: 'open' } as const;
  leader.orderer!.planner.report(1, report);
}

let members: Members;
afterEach(() => members.close());

test('two of three that are to begin say whom they wait for', async () => {
  members = await Members.start(3, [], 1);
  const [first, second] = members.all;
  const saysIt = (it: MetadataRepository): boolean =>
    /^a new metadata repository begins once all its members have met: this one has not met 3 at 127\.0\.0\.1:\d+$/.test(
      String(it.notReady()),
    );
  await until(() => saysIt(first!) && saysIt(second!));
});

test('a member that cannot apply a command gives up leadership, says so, and the others go on', async () => {
  members = await Members.start(3);
  const leader = await members.leader();
  await leader.execute({ kind: 'registerTopic', id: 1, acknowledge: 'all' });
  const others = members.all.filter((it) => it !== leader);
  jest.spyOn(leader.metadata, 'apply').mockImplementation(() => {
    throw new Error('out of order');
  });
  await others[0]!.execute({ kind: 'registerTopic', id: 2, acknowledge: 'all' });
  await until(() => leader.failure !== undefined);
  expect(leader.orderer).toBeUndefined();
  expect(leader.notReady()).toEqual([expect.stringContaining('APPLY_FAILED')]);
  await until(() => others.some((it) => it.orderer !== undefined));
  expect(leader.status.role).toBe('follower');
  await others[1]!.execute({ kind: 'registerTopic', id: 3, acknowledge: 'all' });
  expect(await others[0]!.read((it) => [...it.topics.keys()])).toEqual([1, 2, 3]);
  expect(others.flatMap((it) => it.notReady())).toEqual([]);
});

test('a command that this version does not know is refused before it is proposed', async () => {
  members = await Members.start(1);
  const leader = await members.leader();
  const unknown = { kind: 'splitLogStream', id: 1 } as never;
  await expect(leader.execute(unknown)).rejects.toMatchObject({ code: 'APPLY_FAILED' });
  expect(leader.failure).toBeUndefined();
  expect(leader.notReady()).toEqual([]);
});

test('a command is carried out only for those who may send it', async () => {
  members = await Members.start(1);
  const leader = await members.leader();
  const cut = { kind: 'cut', entries: [] } as const;
  await expect(leader.execute(cut, { sender: 'client' })).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
    message: expect.stringMatching(/"cut".*client.*leader/),
  });
});

test('what not every member knows is refused, with who has to be upgraded, until all do', async () => {
  const old = NEWEST_FEATURE_LEVEL - 1;
  members = await Members.start(3, [NEWEST_FEATURE_LEVEL, NEWEST_FEATURE_LEVEL, old]);
  const [member] = members.all as [MetadataRepository];
  await until(() => member.metadata.featureLevel === old);
  // A command that came with the newest level.
  const newest = { kind: 'addConsumer', topicId: 1, name: 'a', begin: 'end' } as const;
  const refused = member.execute(newest, { sender: 'operator' });
  await expect(refused).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
    message: expect.stringMatching(
      `member 3 of the metadata repository supports level ${old}.*upgrade and start`,
    ),
    details: { level: NEWEST_FEATURE_LEVEL, featureLevel: old, members: [3] },
    outcome: 'notAppended',
  });
  await members.upgradeLast();
  await until(() => member.metadata.featureLevel === NEWEST_FEATURE_LEVEL);
  // Carried out by now: there is no such topic.
  const carriedOut = member.execute(newest, { sender: 'operator' });
  await expect(carriedOut).rejects.toThrow(/topic 1/);
}, 60_000);

test('a seal whose last cut fails leaves nothing proposed, and one at any member has its last cut', async () => {
  members = await Members.start(3);
  const leader = await members.leader();
  await open(leader, 5);
  const execute = jest.spyOn(leader, 'execute').mockRejectedValueOnce(new Error('too late'));
  await expect(leader.changes.seal(1, false)).rejects.toThrow('too late');
  execute.mockRestore();
  const { planner } = leader.orderer!;
  expect(planner.plan()).toMatchObject([{ logStreamId: 1, end: 5 }]);
  planner.forgetProposals();
  const follower = members.all.find((it) => it !== leader)!;
  const sealed = await members
    .connect(follower)
    .call(service.Seal, mrpb.SealRequest.create({ logStreamId: 1 }));
  expect(sealed.lastCommittedGlsn).toBe(5);
});

test('a last cut that is refused because of another log stream is made without that', async () => {
  members = await Members.start(1);
  const leader = await members.leader();
  await open(leader, 5);
  const refusal = new VarlogError('FAILED_PRECONDITION', { what: 'log stream 2 is not open' });
  const execute = jest.spyOn(leader, 'execute').mockRejectedValueOnce(refusal);
  await leader.changes.seal(1, false);
  expect(execute).toHaveBeenCalledTimes(3);
  execute.mockRestore();
  expect(leader.metadata.logStreams.get(1)).toMatchObject({ sealed: true, end: 5 });
});

test('a log stream that does not open is said to be so', async () => {
  members = await Members.start(1);
  const leader = await members.leader();
  await open(leader, 0);
  const channel = members.connect(leader);
  await channel.call(service.Seal, mrpb.SealRequest.create({ logStreamId: 1 }));
  const unsealed = channel.call(service.Unseal, mrpb.UnsealRequest.create({ logStreamId: 1 }));
  await expect(unsealed).rejects.toMatchObject({
    code: 'TIMEOUT',
    message: expect.stringMatching(/not open after.*varlog status/),
    details: { logStreamId: 1 },
  });
}, 20_000);

test('any command that an operator may send is carried out over the wire, and no other', async () => {
  members = await Members.start(1);
  const leader = await members.leader();
  const channel = members.connect(leader);
  const { encode } = commandCodec(NEWEST_FEATURE_LEVEL);
  const send = (command: Uint8Array) =>
    channel.call(Ordering.Execute, ExecuteRequest.create({ command }));
  const made = await send(encode({ kind: 'registerTopic', id: 0, acknowledge: 'all' }));
  expect(made.value).toBe(1);
  const opening = { id: 1, epoch: 1, members: [1], disks: [''], primaryProcess: '' };
  await expect(send(encode({ kind: 'unseal', ...opening }))).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
    message: expect.stringMatching(/"unseal".*operator.*leader/),
  });
  const later = Command.encode(Command.create({ level: NEWEST_FEATURE_LEVEL + 1, number: 99 }));
  await expect(send(later)).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
  expect(leader.failure).toBeUndefined();
});

test('a storage node that leaves while its link is opened is gone: its next process is let in', async () => {
  members = await Members.start(1);
  const leader = await members.leader();
  // Otherwise that would be what is held up below.
  await until(() => leader.metadata.featureLevel === NEWEST_FEATURE_LEVEL);
  const channel = members.connect(leader);
  const hello = (incarnation: string) => {
    const stream = channel.open(Ordering.Session);
    const node = { clusterId: 7, storageNodeId: 4, address: 'nowhere:4', disk: 'd', incarnation };
    const supportedLevel = NEWEST_FEATURE_LEVEL;
    stream.send(SessionRequest.create({ hello: Hello.create({ ...node, supportedLevel }) }));
    return stream;
  };
  let goOn = (): void => {};
  const { execute } = leader;
  const registered = jest.spyOn(leader, 'execute').mockImplementationOnce(async (...args) => {
    await new Promise<void>((resolve) => {
      goOn = resolve;
    });
    return execute.apply(leader, args);
  });
  const killed = hello('first');
  await until(() => registered.mock.calls.length > 0);
  killed.cancel();
  await killed.closed.catch(() => {});
  // It has come to the other side once something later has.
  await channel.call(Ordering.Members, MembersRequest.create({}));
  const opened = jest.spyOn(leader.orderer!, 'open');
  goOn();
  await until(() => opened.mock.calls.length > 0);

  const next = hello('second');
  next.receive(() => {});
  await until(() => leader.orderer!.processOf(4) === 'second');
  next.cancel();
  await next.closed.catch(() => {});
});

const sessions: [string, Partial<SessionRequest>, object][] = [
  ['without a hello', {}, { code: 'INVALID_ARGUMENT', message: expect.stringContaining('hello') }],
  [
    'of another cluster',
    { hello: Hello.create({ clusterId: 8, storageNodeId: 1, address: 'a:1', disk: 'd' }) },
    { code: 'CLUSTER_MISMATCH', message: expect.stringMatching(/cluster 8, not to 7.*check/) },
  ],
  [
    'of a node without a disk',
    { hello: Hello.create({ clusterId: 7, storageNodeId: 1, address: 'a:1' }) },
    { code: 'INVALID_ARGUMENT', message: expect.stringContaining('disk') },
  ],
];
test.each(sessions)('a session %s is refused, and registers nobody', async (_, request, error) => {
  members = await Members.start(1);
  const leader = await members.leader();
  const stream = members.connect(leader).open(Ordering.Session);
  stream.receive(() => {});
  stream.send(SessionRequest.create(request));
  await expect(stream.closed).rejects.toMatchObject(error);
  expect(leader.metadata.storageNodes.size).toBe(0);
});
