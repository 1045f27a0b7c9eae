import { VarlogError } from 'varlog/log';
import { eventually, TestCluster } from './processes.ts';

const STOPS = 3;
/** Longer than an election: another member leads when the one that was stopped goes on. */
const STOP_MS = 2_500;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test('reads under leases while the leader stands still, again and again: none misses what was acknowledged, nor one’s own writes', async () => {
  await using cluster = await TestCluster.start(3, { flags: ['--lease-reads'] });
  const varlog = await cluster.connect();
  const topic = await varlog.createTopic({ logStreams: 2 });
  let acknowledged = 0;
  let linearizable = 0;
  let own = 0;
  let over = false;
  const append = async (): Promise<void> => {
    while (!over) {
      const limits = { receipt: true, timeoutMs: 60_000 };
      // The primary may be stopped with the leader, and owe an answer that never comes.
      const ack = await topic.append('x', limits).catch((error: unknown) => {
        if (!VarlogError.is(error, 'APPEND_UNKNOWN')) throw error;
      });
      if (ack === undefined) continue;
      acknowledged = Math.max(acknowledged, ack.glsn);
      const { total, ...parts } = ack.receipt!;
      const sum = Object.values(parts).reduce((so, ms) => so + ms, 0);
      expect(sum).toBeCloseTo(total, 6);
      expect(parts.other).toBeLessThan(total);
    }
  };
  const readLinearizably = async (): Promise<void> => {
    const reader = await cluster.connect();
    while (!over) {
      const before = acknowledged;
      const { last } = await reader.topic(topic.id).watermarks({ timeoutMs: 60_000 });
      expect(last).toBeGreaterThanOrEqual(before);
      linearizable++;
    }
    await reader.close();
  };
  const readOwn = async (): Promise<void> => {
    const reader = await cluster.connect();
    while (!over) {
      const atLeast = acknowledged;
      await pause(5);
      if (atLeast === 0) continue;
      let last = 0;
      const range = { from: atLeast, atLeast, timeoutMs: 60_000 };
      for await (const { glsn } of reader.topic(topic.id).read(range)) last = glsn;
      expect(last).toBeGreaterThanOrEqual(atLeast);
      own++;
    }
    await reader.close();
  };
  const work = [append(), append(), readLinearizably(), readLinearizably(), readOwn()];
  for (let i = 0; i < STOPS; i++) {
    const { leader } = await eventually(async () => {
      const status = await varlog.status();
      if (status.leader === undefined) throw new Error('there is no leader');
      return status;
    });
    const node = cluster.nodes[leader! - 1]!;
    node.signal('SIGSTOP');
    await pause(STOP_MS);
    node.signal('SIGCONT');
    const before = linearizable;
    while (linearizable < before + 50) await pause(10);
  }
  over = true;
  await Promise.all(work);
  expect(own).toBeGreaterThan(STOPS);
  const late = topic.read({ atLeast: acknowledged + 1_000, timeoutMs: 100 });
  const failure = await late.ready().catch((error: unknown) => error);
  expect(VarlogError.is(failure, 'TIMEOUT')).toBe(true);
  await varlog.close();
}, 240_000);
