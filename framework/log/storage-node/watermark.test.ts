import { handler, type MessageStream, noLogger, type Ports } from '../../base/index.ts';
import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { freeAddresses } from '../../testing/free-addresses.ts';
import { SimulatedDisk } from '../../testing/simulator/disk.ts';
import {
  Assignment,
  Commit,
  FetchResponse,
  Ordering,
  Peer,
  type SessionRequest,
  SessionResponse,
  Watermark,
} from '../../wire/gen/log.ts';
import { eventually } from './cluster.fixture.ts';
import { restartAt } from './restart-at.ts';
import { startStorageNode } from './storage-node.ts';

const clock = realClock();
let close: () => Promise<void> = async () => {};

afterEach(() => close());

/** One storage node whose disk is slow, and a metadata repository that says what the test wants. */
async function node() {
  const network = new GrpcNetwork();
  const disk = new SimulatedDisk({ clock, random: realRandom });
  const ports: Ports = { clock, random: realRandom, disk, network, logger: noLogger };
  let session: MessageStream<SessionResponse, SessionRequest> | undefined;
  const asked: number[] = [];
  const repository = await network.serve('127.0.0.1:0', [
    handler(Ordering.Session, async (stream) => {
      session = stream;
      stream.receive(({ history }) => {
        asked.push(...history.map((it) => it.fromVersion));
      });
      await stream.closed;
    }),
  ]);
  const [address] = await freeAddresses(1);
  const node = await startStorageNode({
    ports,
    clusterId: 1,
    storageNodeId: 1,
    address: address!,
    directory: 'storage',
    metadataRepository: [repository.address],
  });
  await eventually(() => session !== undefined);
  close = async () => {
    await node.close();
    await repository.close();
  };
  return {
    node,
    disk,
    asked,
    send: (message: Partial<SessionResponse>) => session!.send(SessionResponse.create(message)),
  };
}

const wanted = (version: number): Assignment =>
  Assignment.create({
    topicId: 1,
    logStreamId: 1,
    epoch: 1,
    members: [Peer.create({ storageNodeId: 2, address: '127.0.0.1:1' })],
    learners: [Peer.create({ storageNodeId: 1, address: '127.0.0.1:2' })],
    version,
    highWatermark: version,
  });
/** Commit `version` is of one record, whose LLSN and GLSN are the same number. */
const commit = (version: number): Commit =>
  Commit.create({ logStreamId: 1, epoch: 1, version, llsn: version, glsn: version, count: 1 });
const watermark = (highWatermark: number): Watermark =>
  Watermark.create({ topicId: 1, highWatermark });

test('a commit that comes while its replica is being opened is missed, and holds the watermark', async () => {
  const { node: it, disk, asked, send } = await node();
  disk.faults = { latencyMs: () => 20 };
  send({ cluster: 'c', complete: true, assignments: [wanted(0)] });
  send({ commits: [commit(1)], watermarks: [watermark(1)] });
  await eventually(() => it.replicas.has(1));
  const replica = it.find(1, 1);
  send({ watermarks: [watermark(7)] });
  await eventually(() => asked.length > 0);
  expect(asked).toEqual([1]);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect([replica.watermark, replica.core.committedEnd]).toEqual([0, 0]);
});

test('a commit that comes while its replica begins anew holds the watermark too', async () => {
  const { node: it, disk, asked, send } = await node();
  send({ cluster: 'c', complete: true, assignments: [wanted(0)] });
  await eventually(() => it.replicas.has(1));
  const replica = it.find(1, 1);
  disk.faults = { latencyMs: () => 10 };
  const first = { ...commit(5), logStreamId: 1 };
  const restarted = restartAt(
    replica,
    FetchResponse.create({ firstLlsn: 5, firstGlsn: 5, commits: [Commit.create(first)] }),
    new AbortController().signal,
  );
  send({ commits: [commit(6)], watermarks: [watermark(6)] });
  await restarted;
  send({ watermarks: [watermark(7)] });
  await eventually(() => asked.includes(5));
  expect(replica.watermark).toBeLessThan(6);
});

test('an older assignment changes nothing, but what it says of commits is true', async () => {
  const { node: it, send } = await node();
  send({ cluster: 'c', complete: true, assignments: [{ ...wanted(0), epoch: 3 }] });
  await eventually(() => it.replicas.get(1)?.core.assigned === true);
  const replica = it.find(1, 1);
  send({ assignments: [{ ...wanted(2), epoch: 2, sealed: true, end: 1 }] });
  await eventually(() => it.hosted.assignmentOf(1)?.version === 2);
  expect(replica.assignment).toMatchObject({ epoch: 3, sealed: false });
  expect([replica.core.state, replica.watermark]).toEqual(['learning', 0]);
});

test('who waits at a log stream in which nothing happens hears of each move of the high watermark', async () => {
  const { node: it, send } = await node();
  send({ cluster: 'c', complete: true, assignments: [wanted(0)] });
  await eventually(() => it.replicas.has(1));
  const replica = it.find(1, 1);
  for (const highWatermark of [5, 7]) {
    const woken = replica.progressed.wait();
    send({ watermarks: [watermark(highWatermark)] });
    await woken;
    expect(replica.watermark).toBe(highWatermark);
  }
});

test('what was trimmed before it came is dropped when the high watermark passes it, also where nobody reads', async () => {
  const { node: it, send } = await node();
  send({ cluster: 'c', complete: true, assignments: [{ ...wanted(0), trimmedGlsn: 9 }] });
  await eventually(() => it.replicas.get(1)?.head.trimmed === 9);
  const { head } = it.find(1, 1);
  for (const highWatermark of [5, 9]) {
    expect(head.dropped).toBeLessThan(highWatermark);
    send({ watermarks: [watermark(highWatermark)] });
    await eventually(() => head.dropped === highWatermark);
  }
});
