import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { FakeCluster } from './fake-cluster.fixture.ts';
import { handle, text, Varlog } from './index.ts';

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
  importTopic: (it) => varlog.importTopic(async function* () {}, it),
  ready: (it) => varlog.ready({ storageNodes: 1, ...it }),
  topics: (it) => varlog.topics(it),
  deleteTopic: (it) => varlog.deleteTopic(1, it),
  replaceStorageNode: (it) => varlog.replaceStorageNode(1, it),
  topic: (it) => varlog.topic(1, { codec: text, ...it }),
  addLogStream: (it) => varlog.topic(1).addLogStream(it),
  setRetention: (it) => varlog.topic(1).setRetention(it),
  fence: (it) => varlog.topic(1).fence(it),
  trim: (it) => varlog.topic(1).trim(1, it),
  hold: ({ holder, ...it }: { holder?: unknown }) =>
    varlog.topic(1).hold((holder ?? 'a') as string, 1, it),
  appendAtomically: (it) => varlog.topic(1).appendAtomically([{ logStream: 1, records: 'a' }], it),
  export: (it) => varlog.topic(1).export(it),
  consumersAdd: (it) => varlog.topic(1).consumers.add('a', it),
  watermarks: (it) => varlog.topic(1).watermarks(it),
  append: (it) => varlog.topic(1).append('a', it),
  read: (it) => varlog.topic(1).read(it),
  read$: (it) => varlog.topic(1).read$(it),
  tail: (it) => varlog.topic(1).tail(it),
  tail$: (it) => varlog.topic(1).tail$(it),
  process: (it) => varlog.topic(1).process({ name: 'a', ...it }, () => {}),
  producer: (it) => varlog.topic(1).producer({ id: 1, ...it }),
  handle: (it) => handle(() => {}, it),
};

/** On the wire they would be other ones: 5, 1, 0. */
const NO_ID = [0, -1, 1.5, Number.NaN, Infinity, '5', 2 ** 32 + 5, null];

test('an id that would be another one on the wire is refused before anything is sent', async () => {
  for (const value of NO_ID) {
    const id = value as number;
    for (const call of [
      () => varlog.deleteTopic(id),
      () => varlog.restoreTopic(id),
      () => varlog.removeStorageNode(id),
      () => varlog.drainStorageNode(id),
      () => varlog.undrainStorageNode(id),
      () => varlog.replaceStorageNode(id, { disk: 'a' }),
      () => varlog.preferPrimary(id, 1),
      () => varlog.preferPrimary(1, id),
      () => varlog.topic(1).fence({ logStream: id, token: 1 }),
      () => varlog.topic(1).setReplicationFactor(id),
      () => varlog.topic(1).addLogStream({ replicationFactor: id }),
      () => varlog.createTopic({ replicationFactor: id }),
    ]) {
      const refused = await (async () => call())().then(
        () => `${String(value)} was taken by ${call}`,
        (error: unknown) => error,
      );
      expect(refused).toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
  }
});

const NO_COUNT = [0, -1, 1.5, Number.NaN, '5', null, {}];
const NO_TIME = [0, -1, Number.NaN, 'soon'];
const NO_TEXT = ['', 1, null, {}];
const NO_FLAG = ['false', 1, null];
const NO_SIGNAL = ['now', 1, null, {}, new AbortController()];
const NO_POSITION = ['middle', {}, { time: 'noon' }, -1, 1.5, 0];

test.each<[string, string, readonly unknown[]]>([
  ['connect', 'timeoutMs', NO_TIME],
  ['appends', 'inFlightBytes', NO_COUNT],
  ['appends', 'waitingBytes', NO_COUNT],
  ['appends', 'recordBytesMax', [0, -1, 1.5, Number.NaN, '5', 2 ** 40]],
  ['connect', 'clusterId', NO_COUNT],
  ['connect', 'cluster', NO_TEXT],
  ['connect', 'signal', NO_SIGNAL],
  ['importTopic', 'replicationFactor', NO_COUNT],
  ['importTopic', 'timeoutMs', NO_TIME],
  ['ready', 'storageNodes', ['1', -1, Number.NaN, null]],
  ['ready', 'signal', NO_SIGNAL],
  ['topics', 'timeoutMs', NO_TIME],
  ['topics', 'signal', NO_SIGNAL],
  ['deleteTopic', 'timeoutMs', NO_TIME],
  ['replaceStorageNode', 'disk', [1, null]],
  ['replaceStorageNode', 'force', NO_FLAG],
  ['topic', 'onDecodeError', ['panic', 1, null]],
  ['addLogStream', 'replicationFactor', NO_COUNT],
  ['addLogStream', 'timeoutMs', NO_TIME],
  ['setRetention', 'bytes', NO_COUNT],
  ['setRetention', 'ageMs', NO_COUNT],
  ['fence', 'token', NO_COUNT],
  ['fence', 'timeoutMs', NO_TIME],
  ['fence', 'signal', NO_SIGNAL],
  ['trim', 'force', NO_FLAG],
  ['trim', 'timeoutMs', NO_TIME],
  ['hold', 'holder', ['', 1, {}]],
  ['appendAtomically', 'timeoutMs', NO_TIME],
  ['appendAtomically', 'signal', NO_SIGNAL],
  ['export', 'from', NO_POSITION],
  ['export', 'to', ['end', -1, 0]],
  ['export', 'signal', NO_SIGNAL],
  ['consumersAdd', 'timeoutMs', NO_TIME],
  ['watermarks', 'timeoutMs', NO_TIME],
  ['watermarks', 'signal', NO_SIGNAL],
  ['append', 'signal', NO_SIGNAL],
  ['append', 'receipt', NO_FLAG],
  ['append', 'logStream', NO_COUNT],
  ['read', 'signal', NO_SIGNAL],
  ['read$', 'bufferBytes', NO_COUNT],
  ['read$', 'timeoutMs', NO_TIME],
  ['tail', 'signal', NO_SIGNAL],
  ['tail$', 'bufferBytes', NO_COUNT],
  ['tail$', 'signal', NO_SIGNAL],
  ['process', 'attempts', NO_COUNT],
  ['process', 'checkpointEveryMs', NO_COUNT],
  ['process', 'maxInFlight', NO_COUNT],
  ['process', 'orderBy', ['time', 1, null]],
  ['process', 'signal', NO_SIGNAL],
  ['handle', 'orderBy', ['key', 1, null]],
  ['createTopic', 'retention', [5, null, { byte: 5 }, { bytes: 'all' }]],
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
      message: expect.stringMatching(new RegExp(`${option.replace('$', '')}|position|GLSN`)),
    });
  }
});

const OF_LIMITS_ALONE = new Set([
  'topics',
  'deleteTopic',
  'hold',
  'appendAtomically',
  'watermarks',
]);

test.each(Object.keys(CALLS).filter((it) => !OF_LIMITS_ALONE.has(it)))(
  '%s refuses an option that it does not have, and says which ones it has',
  async (call) => {
    const made = async () => CALLS[call]!({ maxRecords: 5 });
    await expect(made()).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/there is no option "maxRecords" of .*; choose among \w+/),
    });
  },
);
