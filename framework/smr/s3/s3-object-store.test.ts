import { types } from 'node:util';
import { ListMultipartUploadsCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { describeGateway, type ObjectGateway } from '../../../test/object-gateway.ts';
import { objectStoreContract, snapshotStoreContract } from '../../testing/contracts/index.ts';
import { type ObjectStore, sharedSnapshots, startReplica } from '../index.ts';
import { TrimmedLog } from '../trimmed-log.fixture.ts';
import { WordCounts } from '../word-counts.fixture.ts';
import { Between } from './between.fixture.ts';
import { s3Objects } from './index.ts';

const MIB = 1024 * 1024;

// A test has an Error of its own. By it the client would not know the errors of Node.js, and lose what they say.
const hasInstance = Function.prototype[Symbol.hasInstance];
Object.defineProperty(Error, Symbol.hasInstance, {
  value(this: unknown, it: unknown) {
    return this === Error ? types.isNativeError(it) : hasInstance.call(this as never, it);
  },
});

/** So many blocks of a MiB, each of other bytes. */
async function* blocks(count: number, told: (block: number) => void = () => {}) {
  for (let i = 0; i < count; i++) {
    told(i);
    yield Buffer.alloc(MIB, i);
  }
}

async function lengthOf(chunks: AsyncIterable<Uint8Array> | undefined): Promise<number> {
  let length = 0;
  for await (const chunk of chunks!) length += chunk.length;
  return length;
}

const failure = (code: string, more = {}) => expect.objectContaining({ code, ...more });

const inBucket = (gateway: ObjectGateway, bucket: string, more = {}): ObjectStore =>
  s3Objects({ bucket, endpoint: gateway.endpoint, credentials: gateway.credentials, ...more });

describeGateway('objects in a bucket', (gateway) => {
  const fresh = async (prefix?: string) => {
    const bucket = await gateway().freshBucket();
    const open = (): ObjectStore => inBucket(gateway(), bucket, prefix && { prefix });
    return { bucket, store: open(), reopen: async () => open(), close: async () => {} };
  };

  async function uploadsIn(Bucket: string): Promise<number> {
    const { Uploads = [] } = await gateway().client.send(
      new ListMultipartUploadsCommand({ Bucket }),
    );
    return Uploads.length;
  }

  describe('keep the contract of all object stores', () => {
    for (const { title, run } of objectStoreContract(() => fresh())) test(title, run);
  });

  describe('keep it in a folder of the bucket', () => {
    for (const { title, run } of objectStoreContract(() => fresh('a/b'))) test(title, run);
  });

  describe('keep the contract of all snapshot stores', () => {
    const make = async () => {
      const { store, reopen, close } = await fresh();
      const shared = (it: ObjectStore) => sharedSnapshots(it, 'words');
      return { store: shared(store), reopen: async () => shared(await reopen()), close };
    };
    for (const { title, run } of snapshotStoreContract(make)) test(title, run);
  });

  test('a folder shows nothing of other folders, nor of those in it', async () => {
    const bucket = await gateway().freshBucket();
    const inFolder = (prefix: string) => inBucket(gateway(), bucket, { prefix });
    for (const it of ['', 'a', 'a/b/', 'ab']) await inFolder(it).put(`in-${it.length}`, blocks(0));
    expect(await inFolder('a').list('')).toEqual(['in-1']);
    expect(await inFolder('a/').list('')).toEqual(['in-1']);
    expect(await inFolder('a/b').list('in')).toEqual(['in-4']);
    expect(await inFolder('').list('')).toEqual(['in-0']);
  });

  test('all are listed where there are more than come in one answer', async () => {
    const { store, bucket: Bucket } = await fresh('many');
    const names = Array.from({ length: 1_003 }, (_, i) => `n-${i}`);
    const rest = [...names];
    const putSome = async (): Promise<void> => {
      for (let name = rest.pop(); name !== undefined; name = rest.pop())
        await gateway().client.send(
          new PutObjectCommand({ Bucket, Key: `many/${name}`, Body: 'x' }),
        );
    };
    await Promise.all([putSome(), putSome(), putSome(), putSome()]);
    expect(await store.list('n-')).toEqual(names.sort());
  }, 120_000);

  describe('over a wire that is watched', () => {
    let between: Between;
    let bucket: string;
    let store: ObjectStore;

    beforeEach(async () => {
      between = await Between.open(gateway().endpoint);
      bucket = await gateway().freshBucket();
      store = inBucket(gateway(), bucket, { endpoint: between.endpoint });
    });
    afterEach(() => between.close());

    test('100 MiB go there and come back, and little of them is in memory', async () => {
      let sent = 0;
      between.up = (bytes) => {
        sent += bytes.length;
        return bytes;
      };
      let ahead = 0;
      const told = (block: number): void => {
        ahead = Math.max(ahead, block * MIB - sent);
      };
      await store.put('large', blocks(100, told));
      expect(ahead).toBeGreaterThan(0);
      expect(ahead).toBeLessThanOrEqual(8 * MIB);
      expect(await uploadsIn(bucket)).toBe(0);

      let received = 0;
      between.down = (bytes) => {
        received += bytes.length;
        return bytes;
      };
      let [at, waiting] = [0, 0];
      for await (const chunk of (await store.get('large'))!) {
        for (const index of [0, chunk.length - 1])
          if (chunk[index] !== Math.floor((at + index) / MIB)) throw new Error(`wrong at ${at}`);
        at += chunk.length;
        waiting = Math.max(waiting, received - at);
        // What a slow reader does not take stays at the store, but for what sockets hold.
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(at).toBe(100 * MIB);
      expect(waiting).toBeLessThan(16 * MIB);
    }, 120_000);

    test('a source that fails leaves neither an object nor parts of one', async () => {
      async function* broken() {
        yield* blocks(20);
        throw new RangeError('the state cannot be encoded');
      }
      await store.put('a', blocks(1));
      await expect(store.put('a', broken())).rejects.toThrow(RangeError);
      expect(await uploadsIn(bucket)).toBe(0);
      expect(await lengthOf(await store.get('a'))).toBe(MIB);
    });

    test('why it failed is told also where the store is gone meanwhile', async () => {
      async function* broken() {
        yield* blocks(20);
        between.up = () => undefined;
        throw new RangeError('the state cannot be encoded');
      }
      await expect(store.put('a', broken())).rejects.toThrow(RangeError);
    });

    test('a put whose connection is cut in the middle keeps nothing, and ends its source', async () => {
      await store.put('a', blocks(1));
      between.up = (bytes) => (bytes.includes('partNumber=2&') ? undefined : bytes);
      let isEnded = false;
      async function* source() {
        try {
          yield* blocks(40);
        } finally {
          isEnded = true;
        }
      }
      const cut = failure('UNAVAILABLE', { outcome: 'notAppended', retryable: true });
      await expect(store.put('a', source())).rejects.toEqual(cut);
      expect(isEnded).toBe(true);
      expect(await uploadsIn(bucket)).toBe(0);
      expect(await lengthOf(await store.get('a'))).toBe(MIB);
    });

    test.each([
      ['of one part', 1, 'PUT '],
      ['of several parts', 20, 'POST /[^ ]*uploadId='],
    ])('a put %s whose last answer is lost may have taken effect', async (_, count, last) => {
      let isLast = false;
      between.up = (bytes) => {
        isLast = new RegExp(`^${last}`).test(bytes.toString('latin1', 0, 500)) || isLast;
        return bytes;
      };
      between.down = (bytes) => (isLast ? undefined : bytes);
      const lost = failure('UNAVAILABLE', { outcome: 'unknown' });
      await expect(store.put('a', blocks(count))).rejects.toEqual(lost);
      const other = inBucket(gateway(), bucket);
      expect(await lengthOf(await other.get('a'))).toBe(count * MIB);
      expect(await uploadsIn(bucket)).toBe(0);
    });

    test('a delete whose answer is lost may have taken effect', async () => {
      between.down = () => undefined;
      const lost = failure('UNAVAILABLE', { outcome: 'unknown' });
      await expect(store.delete('a')).rejects.toEqual(lost);
    });

    /** Has the store say this checksum of all that it answers. */
    const sayChecksum = (): void => {
      const head = 'HTTP/1.1 200 OK\r\n';
      between.down = (bytes) => {
        if (!bytes.toString('latin1', 0, head.length).startsWith(head)) return bytes;
        const summed = Buffer.from(`${head}x-amz-checksum-crc32: AAAAAA==\r\n`);
        return Buffer.concat([summed, bytes.subarray(head.length)]);
      };
    };

    test('an object that breaks off is told of', async () => {
      await store.put('a', blocks(50));
      const object = await store.get('a');
      let received = 0;
      between.down = (bytes) => {
        received += bytes.length;
        return received < 5 * MIB ? bytes : undefined;
      };
      const cut = failure('UNAVAILABLE', { message: expect.stringContaining('"a"') });
      await expect(lengthOf(object)).rejects.toEqual(cut);
    });

    /** The same store through a client that gives up after so long without a byte. */
    const impatient = (socketTimeout: number): ObjectStore => {
      const { credentials } = gateway();
      const client = new S3Client({
        ...{ endpoint: between.endpoint, credentials, region: 'us-east-1', forcePathStyle: true },
        requestHandler: { socketTimeout },
      });
      return s3Objects({ bucket, client });
    };

    test('one that nobody reads is let go after a while, which does no harm', async () => {
      await inBucket(gateway(), bucket).put('a', blocks(50));
      sayChecksum();
      const object = await impatient(2_000).get('a');
      while (between.open > 0) await new Promise((resolve) => setTimeout(resolve, 10));
      await expect(lengthOf(object)).rejects.toEqual(failure('UNAVAILABLE'));
    });

    test('bytes that do not have the checksum of the store are told as damaged', async () => {
      await store.put('a', blocks(1));
      sayChecksum();
      await expect(lengthOf(await store.get('a'))).rejects.toEqual(failure('CORRUPT'));
    });

    test('a store that does not answer is not waited for without end', async () => {
      between.down = () => Buffer.alloc(0);
      const silent = impatient(200);
      await expect(silent.list('')).rejects.toEqual(failure('TIMEOUT'));
      const lost = failure('TIMEOUT', { outcome: 'unknown' });
      await expect(silent.put('a', blocks(1))).rejects.toEqual(lost);
    });
  });

  describe('say what is to be done', () => {
    const endpoint = 'http://127.0.0.1:1';
    test.each<[string, string, () => object]>([
      ['NOT_FOUND', 'make the bucket', () => ({ bucket: 'nowhere' })],
      ['UNAUTHENTICATED', 's3:GetObject', () => ({ credentials: gateway().stranger })],
      [
        'UNAUTHENTICATED',
        'check the credentials',
        () => ({ credentials: { ...gateway().credentials, secretAccessKey: 'other' } }),
      ],
      ['UNREACHABLE', 'check the endpoint', () => ({ endpoint })],
    ])('%s: … %s', async (code, next, options) => {
      const bucket = await gateway().freshBucket();
      const store = inBucket(gateway(), bucket, options());
      const refused = failure(code, { message: expect.stringContaining(next) });
      await expect(store.get('a')).rejects.toEqual(refused);
      await expect(store.list('')).rejects.toEqual(refused);
      await expect(store.delete('a')).rejects.toEqual(refused);
      const unknown = code === 'UNREACHABLE' ? 'unknown' : 'notAppended';
      const write = failure(code, { outcome: unknown, message: expect.stringContaining(next) });
      await expect(store.put('a', blocks(1))).rejects.toEqual(write);
    });

    test('FAILED_PRECONDITION: … set the clock', async () => {
      const { endpoint, credentials } = gateway();
      const bucket = await gateway().freshBucket();
      const client = new S3Client({
        ...{ endpoint, credentials, region: 'us-east-1', forcePathStyle: true, maxAttempts: 1 },
        systemClockOffset: 3_600_000,
      });
      const refused = failure('FAILED_PRECONDITION', { message: expect.stringContaining('clock') });
      await expect(s3Objects({ bucket, client }).list('')).rejects.toEqual(refused);
    });
  });

  test('a replica starts from the snapshot that another one put there, and the log is trimmed', async () => {
    const bucket = await gateway().freshBucket();
    const log = new TrimmedLog();
    const start = (more = {}) =>
      startReplica({
        ...{ machine: new WordCounts(), log, trimLog: true, ...more },
        snapshots: sharedSnapshots(inBucket(gateway(), bucket, { prefix: 'varlog' }), 'words'),
      });
    const one = await start();
    for (let i = 0; i < 30; i++) await one.execute(`word ${i}`);
    const kept = await one.snapshot();
    while (log.trimmed < kept) await new Promise((resolve) => setTimeout(resolve, 1));
    const kinds: string[] = [];
    const two = await start({ onApplied: ({ kind }: { kind: string }) => kinds.push(kind) });
    expect(await two.query((it) => it.state)).toEqual(await one.query((it) => it.state));
    expect(kinds[0]).toBe('snapshot');
    for (let i = 0; i < 3; i++) {
      await two.execute('again');
      await two.snapshot();
    }
    expect(await inBucket(gateway(), bucket, { prefix: 'varlog' }).list('words-')).toHaveLength(2);
    await Promise.all([one.close(), two.close()]);
  });
});

test.each<[string, object]>([
  ['bucket is missing', {}],
  ['bucket is the text ""', { bucket: '' }],
  ['prefix is the text "/a"', { bucket: 'b', prefix: '/a' }],
  ['prefix is the text "a//b"', { bucket: 'b', prefix: 'a//b' }],
  ['endpoint is the text "10.0.0.5"', { bucket: 'b', endpoint: '10.0.0.5' }],
  ['there is no option "buckets"', { buckets: 'b' }],
  ['a client, and region', { bucket: 'b', client: new S3Client({}), region: 'us-east-1' }],
])('%s: refused', (what, options) => {
  expect(() => s3Objects(options as never)).toThrow(
    failure('INVALID_ARGUMENT', { message: expect.stringContaining(what) }),
  );
});

test('a name that is none is refused before anybody is asked', async () => {
  const store = s3Objects({ bucket: 'b', endpoint: 'http://127.0.0.1:1' });
  const refused = failure('INVALID_ARGUMENT');
  await expect(store.put('a/b', blocks(1))).rejects.toEqual(refused);
  await expect(store.get('')).rejects.toEqual(refused);
  await expect(store.delete('a.b')).rejects.toEqual(refused);
});
