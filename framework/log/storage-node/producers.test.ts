import { encodeBatch } from '../../base/index.ts';
import type { AppendBatch, AppendResult } from '../../wire/gen/log.ts';
import { type Appender, eventually, TestCluster } from './cluster.fixture.ts';

const ID = 7;
let cluster: TestCluster;

async function clusterOf(nodes: number[]): Promise<TestCluster> {
  cluster = await TestCluster.withLogStreams(nodes);
  return cluster;
}

afterEach(() => cluster.close());

/** Some records of a producer, framed. */
function produced(sequence: number, count = 1, epoch = 1): Partial<AppendBatch> {
  const records = Array.from({ length: count }, (_, i) =>
    new TextEncoder().encode(`${epoch}.${sequence + i}`),
  );
  const { bytes } = encodeBatch(records, { producer: { id: ID, epoch, sequence } });
  return { count, records: bytes };
}

const placeOf = ({ glsn, llsn, duplicate, failure }: AppendResult) =>
  failure === null ? { glsn, llsn, duplicate } : failure.code;

async function appendAll(appender: Appender, sequences: readonly number[]): Promise<void> {
  for (const it of sequences) {
    expect(await appender.send(produced(it))).toMatchObject({ failure: null, duplicate: false });
  }
}

describe('batches of a producer', () => {
  test('are taken once, in order, with the place of the first time', async () => {
    await clusterOf([1, 2]);
    const appender = cluster.appender(1);
    await appender.append('a');
    expect(placeOf(await appender.send(produced(0, 2)))).toEqual({
      ...{ glsn: 2, llsn: 2, duplicate: false },
    });
    expect(placeOf(await appender.send(produced(2)))).toMatchObject({ glsn: 4 });
    for (const [sequence, count, glsn] of [
      [2, 1, 4],
      [0, 2, 2],
    ] as const) {
      const found = placeOf(await appender.send(produced(sequence, count)));
      expect(found).toEqual({ glsn, llsn: glsn, duplicate: true });
    }
    expect(placeOf(await appender.send(produced(4)))).toBe('SEQUENCE_GAP');
    expect(placeOf(await appender.send(produced(0, 1)))).toBe('INVALID_ARGUMENT');
    expect(placeOf(await appender.send(produced(0, 1, 2)))).toMatchObject({ glsn: 5 });
    const late = await appender.send(produced(3));
    expect([late.failure?.code, late.failure?.outcome]).toEqual(['PRODUCER_FENCED', 'notAppended']);
    expect(cluster.replica(1).core.end).toBe(5);
  });

  test('that are repeated before they are ordered are answered with the first one', async () => {
    await clusterOf([1, 2]);
    cluster.loses = (_, node) => node === 1;
    const appender = cluster.appender(1);
    const first = appender.send(produced(0));
    const again = appender.send(produced(0));
    await eventually(() => cluster.replica(1).pending.bytes > 0);
    cluster.loses = () => false;
    await appender.append('a');
    expect(placeOf(await first)).toEqual({ glsn: 1, llsn: 1, duplicate: false });
    expect(placeOf(await again)).toEqual({ glsn: 1, llsn: 1, duplicate: true });
  });

  test.each(['shutdown', 'powerLoss'] as const)('are known after a restart by %s', async (how) => {
    await clusterOf([1]);
    await appendAll(cluster.appender(1), [0, 1, 2]);
    await cluster.stopNode(1, how === 'powerLoss' ? how : undefined);
    await cluster.startNode(1);
    await eventually(() => cluster.reported(1) === 'restarted');
    await cluster.reopen(1, [1]);
    const appender = cluster.appender(1);
    expect(placeOf(await appender.send(produced(1)))).toEqual({
      glsn: 2,
      llsn: 2,
      duplicate: true,
    });
    expect(placeOf(await appender.send(produced(3)))).toMatchObject({ glsn: 4, duplicate: false });
  });

  test('are known to a backup that becomes the primary', async () => {
    await clusterOf([1, 2, 3]);
    await appendAll(cluster.appender(1), [0, 1]);
    await cluster.stopNode(1, 'powerLoss');
    await cluster.reopen(1, [2, 3]);
    const appender = cluster.appender(2);
    expect(placeOf(await appender.send(produced(1)))).toEqual({
      glsn: 2,
      llsn: 2,
      duplicate: true,
    });
    expect(placeOf(await appender.send(produced(2)))).toMatchObject({ glsn: 3, duplicate: false });
  });

  test('are asked of another replica where the file that remembers them is lost', async () => {
    await clusterOf([1, 2]);
    await appendAll(cluster.appender(1), [0, 1]);
    await cluster.stopNode(1);
    await cluster.disks.get(1)!.remove('storage/replicas/1/producers');
    await cluster.startNode(1);
    await eventually(() => cluster.reported(1) === 'damaged');
    await cluster.reopen(1, [2]);
    await eventually(() => cluster.reported(1) === 'learning');
    await eventually(() => cluster.replica(1).core.committedEnd === 2);
    await cluster.reopen(1, [1, 2]);
    const again = placeOf(await cluster.appender(1).send(produced(1)));
    expect(again).toEqual({ glsn: 2, llsn: 2, duplicate: true });
  });

  test('that a seal cut off are taken as new ones', async () => {
    await clusterOf([1, 2, 3]);
    const appender = cluster.appender(1);
    await appendAll(appender, [0]);
    await cluster.stopNode(2);
    await cluster.stopNode(3);
    const waiting = appender.send(produced(1));
    await eventually(() => cluster.replica(1).core.durableEnd === 2);
    cluster.apply({ kind: 'seal', id: 1, byOperator: false });
    expect(placeOf(await waiting)).toBe('SEALED');
    await cluster.startNode(2);
    await cluster.reopen(1, [1, 2]);
    expect(placeOf(await appender.send(produced(2)))).toBe('SEQUENCE_GAP');
    for (const duplicate of [false, true]) {
      expect(placeOf(await appender.send(produced(1)))).toEqual({ glsn: 2, llsn: 2, duplicate });
    }
  });

  test('are known when their records were trimmed, after a restart and to a new replica', async () => {
    await clusterOf([1, 2, 3]);
    cluster.apply({ kind: 'seal', id: 1, byOperator: false });
    cluster.setReplicas([1, 2]);
    await eventually(() => cluster.state(3) === 'absent');
    await cluster.reopen(1, [1, 2]);
    await appendAll(cluster.appender(1), [0, 1, 2]);
    await cluster.appender(1).append('a');
    cluster.apply({ kind: 'trim', topicId: 1, glsn: 3 });
    await eventually(() => [1, 2].every((it) => cluster.replica(it).head.trimmed === 3));
    await eventually(() => [1, 2].every((it) => cluster.replica(it).storage.records.first === 4));
    for (const it of [1, 2]) {
      await cluster.stopNode(it, 'powerLoss');
      await cluster.startNode(it);
    }
    await eventually(() => [1, 2].every((it) => cluster.reported(it) !== undefined));
    await cluster.reopen(1, [1, 2]);
    const again = placeOf(await cluster.appender(1).send(produced(1)));
    expect(again).toEqual({ glsn: 2, llsn: 2, duplicate: true });
    cluster.setReplicas([1, 2, 3]);
    await cluster.reopen(1, [1, 2]);
    await eventually(() => cluster.replica(3).core.committedEnd === 4);
    await cluster.stopNode(3, 'powerLoss');
    await cluster.startNode(3);
    await eventually(() => cluster.nodes.get(3)!.replicas.get(1)?.core.committedEnd === 4);
    await cluster.reopen(1, [3, 1]);
    const third = cluster.appender(3);
    expect(placeOf(await third.send(produced(2)))).toEqual({ glsn: 3, llsn: 3, duplicate: true });
    expect(placeOf(await third.send(produced(3)))).toMatchObject({ glsn: 5, duplicate: false });
  });
});
