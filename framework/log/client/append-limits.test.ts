import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { ManualClock } from '../../testing/manual-clock.ts';
import { FakeCluster } from './fake-cluster.fixture.ts';
import { type AppenderLimits, type Topic, Varlog } from './index.ts';

const ports = { clock: realClock(), random: realRandom, network: new GrpcNetwork() };
const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A topic on a node that answers no append. */
async function silent(
  appends: AppenderLimits,
  clock = ports.clock,
): Promise<{ topic: Topic; varlog: Varlog }> {
  const cluster = await FakeCluster.start(ports.network, [[1]]);
  closers.push(() => cluster.close());
  cluster.appendFault = () => ({ kind: 'silent' });
  const endpoints = cluster.endpoint;
  const varlog = await Varlog.connect({ ports: { ...ports, clock }, endpoints, appends });
  closers.push(() => varlog.close());
  return { varlog, topic: varlog.topic(1) };
}

const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'none',
    (error) => error.code ?? error.message,
  );

const RECORD = new Uint8Array(996);

test.each(['the time', 'the signal'])(
  'appends that were refused because too much waits make no room when %s of theirs is over',
  async (what) => {
    const clock = new ManualClock();
    const { topic } = await silent({ inFlightBytes: 1_000, waitingBytes: 2_000 }, clock);
    const append = (options = {}) =>
      codeOf(topic.append(RECORD, { timeoutMs: 60_000, ...options }));
    const waiting = [append(), append(), append()];
    const stop = new AbortController();
    const limits = what === 'the time' ? { timeoutMs: 100 } : { signal: stop.signal };
    for (let i = 0; i < 5; i++) expect(await append(limits)).toBe('RESOURCE_EXHAUSTED');
    stop.abort(new Error('stop'));
    await clock.advance(200);
    expect(await append()).toBe('RESOURCE_EXHAUSTED');
    await clock.advance(60_000);
    expect(await Promise.all(waiting)).toEqual(['TIMEOUT', 'TIMEOUT', 'TIMEOUT']);
  },
);

test('a hundred thousand appends that wait all end when their client is closed', async () => {
  const { topic, varlog } = await silent({ inFlightBytes: 100 });
  const many = Array.from({ length: 100_000 }, () =>
    codeOf(topic.append('a', { timeoutMs: 100_000 })),
  );
  await new Promise((resolve) => setTimeout(resolve, 100));
  await varlog.close();
  expect(new Set(await Promise.all(many))).toEqual(new Set(['CLOSED']));
}, 120_000);
