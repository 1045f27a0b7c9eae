import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { FakeCluster } from './fake-cluster.fixture.ts';
import { handle, Varlog } from './index.ts';

const ports = { clock: realClock(), random: realRandom, network: new GrpcNetwork() };
let cluster: FakeCluster;
let varlog: Varlog;
beforeAll(async () => {
  cluster = await FakeCluster.start(ports.network, [[1]]);
  varlog = await Varlog.connect({ ports, endpoints: cluster.endpoint });
});
afterAll(async () => {
  await varlog.close();
  await cluster.close();
});

/** Calls with one bad option each, as plain JavaScript can make them. */
const CALLS: Record<string, (option: object) => unknown> = {
  connect: (it) => Varlog.connect({ ports, endpoints: cluster.endpoint, ...it }),
  appends: (appends) => Varlog.connect({ ports, endpoints: cluster.endpoint, appends }),
  createTopic: (it) => varlog.createTopic(it),
  append: (it) => varlog.topic(1).append('a', it),
  read: (it) => varlog.topic(1).read(it),
  read$: (it) => varlog.topic(1).read$(it),
  tail: (it) => varlog.topic(1).tail(it),
  tail$: (it) => varlog.topic(1).tail$(it),
  process: (it) => varlog.topic(1).process({ name: 'a', ...it }, () => {}),
  producer: (it) => varlog.topic(1).producer({ id: 1, ...it }),
  handle: (it) => handle(() => {}, it),
};

const NO_COUNT = [0, -1, 1.5, Number.NaN, '5', null, {}];
const NO_TIME = [0, -1, Number.NaN, 'soon'];
const NO_POSITION = ['middle', {}, { time: 'noon' }, -1, 1.5, 0];

test.each<[string, string, readonly unknown[]]>([
  ['connect', 'timeoutMs', NO_TIME],
  ['appends', 'inFlightBytes', NO_COUNT],
  ['appends', 'waitingBytes', NO_COUNT],
  ['appends', 'recordBytesMax', [0, -1, 1.5, Number.NaN, '5', 2 ** 40]],
  ['createTopic', 'logStreams', NO_COUNT],
  ['createTopic', 'replicationFactor', NO_COUNT],
  ['createTopic', 'first', NO_COUNT],
  ['createTopic', 'acknowledge', ['most', 'ALL', 1, true, null]],
  ['createTopic', 'timeoutMs', NO_TIME],
  ['append', 'timeoutMs', NO_TIME],
  ['read', 'from', NO_POSITION],
  ['read', 'to', ['end', -1, 0]],
  ['read', 'bufferBytes', NO_COUNT],
  ['read', 'timeoutMs', NO_TIME],
  ['read', 'consistency', ['eventual', 1, null]],
  ['read', 'atLeast', ['5', -1, 0]],
  ['read$', 'maxInFlight', NO_COUNT],
  ['read$', 'maxInFlightBytes', NO_COUNT],
  ['tail', 'from', NO_POSITION],
  ['tail', 'bufferBytes', NO_COUNT],
  ['tail$', 'from', NO_POSITION],
  ['tail$', 'maxInFlight', NO_COUNT],
  ['tail$', 'maxInFlightBytes', NO_COUNT],
  ['process', 'from', NO_POSITION],
  ['process', 'concurrency', [0, 1.5, '5']],
  ['process', 'onError', ['panic', 1]],
  ['producer', 'id', [-1, 1.5, '5', 2 ** 53]],
  ['producer', 'timeoutMs', NO_TIME],
  ['handle', 'concurrency', [0, -1, Number.NaN]],
])('%s refuses a bad %s, and says which and what is allowed', async (call, option, values) => {
  for (const value of values) {
    const made = async () => CALLS[call]!({ [option]: value });
    const refused = await made().then(
      () => `${String(value)} was taken`,
      (error: unknown) => error,
    );
    expect(refused).toMatchObject({
      code: expect.stringMatching(/^(INVALID_ARGUMENT|POSITION_OUT_OF_RANGE)$/),
      message: expect.stringMatching(new RegExp(`${option}|no consistency|position|GLSN`)),
    });
  }
});
