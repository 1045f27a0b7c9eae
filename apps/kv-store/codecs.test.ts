import fc from 'fast-check';
import { kvCodecs } from './codecs.ts';
import type { Condition, Revisions } from './condition.ts';
import { deleteRequest, op, putRequest, rangeRequest } from './etcd/requests.fixture.ts';
import { keyOfBytes, keyOfText } from './key.ts';
import type { EtcdResult, KvCommand, KvResult, KvSnapshot } from './machine.ts';
import type { Version } from './version.ts';

const revision = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const revisions: fc.Arbitrary<Revisions> = fc.oneof(
  fc.constant('any' as const),
  fc.array(revision, { maxLength: 3 }),
);
const condition: fc.Arbitrary<Condition> = fc
  .record({ ifMatch: revisions, ifNoneMatch: revisions }, { requiredKeys: [] })
  .filter((it) => Object.keys(it).length > 0);
const bytes = fc.uint8Array({ maxLength: 300 });
// No key is empty.
const key = fc.uint8Array({ minLength: 1, maxLength: 300 }).map(keyOfBytes);
const command: fc.Arbitrary<KvCommand> = fc.oneof(
  fc.record({ op: fc.constant('put' as const), key, value: bytes }),
  fc.record({ op: fc.constant('delete' as const), key }),
);

test('a write comes out of the log as it went in, whatever its bytes', () => {
  fc.assert(
    fc.property(command, fc.option(condition, { nil: undefined }), (bare, when) => {
      const whole = when === undefined ? bare : { ...bare, condition: when };
      const stored = kvCodecs.command!.encode(whole);
      const batch = Buffer.concat([stored]);
      const back = kvCodecs.command!.decode(batch);
      // Whatever happens to the batch that it came in.
      batch.fill(0);
      expect(back).toEqual(whole);
      if (back.op === 'put') expect(back.value.buffer).not.toBe(batch.buffer);
    }),
  );
});

test('what is no put to its last byte is not taken for one', () => {
  const whole = kvCodecs.command!.encode({ op: 'put', key: keyOfText('a'), value: own });
  for (let end = 2; end < whole.length; end++) {
    const decode = () => kvCodecs.command!.decode(whole.subarray(0, end));
    expect(decode).toThrow();
  }
  // A field that a later version may have added is passed over, as protobuf has it.
  const longer = Buffer.concat([whole, Uint8Array.of(0x60, 1)]);
  expect(kvCodecs.command!.decode(longer)).toEqual({ op: 'put', key: 'a', value: own });
});

test('a snapshot goes back as it was', () => {
  const version: fc.Arbitrary<Version> = fc.record({
    key,
    value: fc.option(bytes, { nil: undefined }),
    revision,
    createRevision: revision,
    version: revision,
    lease: revision,
  });
  const snapshot: fc.Arbitrary<KvSnapshot> = fc.record({
    revision,
    compacted: revision,
    forgotten: revision,
    base: fc.array(version, { maxLength: 5 }),
    changes: fc.array(version, { maxLength: 5 }),
    leases: fc.array(
      fc.record({ id: revision, ttl: revision, expiresAt: revision, timer: revision }),
    ),
  });
  fc.assert(
    fc.property(snapshot, (it) => {
      expect(kvCodecs.snapshot!.decode(kvCodecs.snapshot!.encode(it))).toEqual(it);
    }),
  );
});

test('a result is what it was', () => {
  const result = fc.record({
    done: fc.boolean(),
    revision: fc.maxSafeNat(),
    existed: fc.boolean(),
  });
  fc.assert(
    fc.property(result, (it) => {
      expect(kvCodecs.result!.decode(Buffer.concat([kvCodecs.result!.encode(it)]))).toEqual(it);
    }),
  );
});

const own = Uint8Array.of(1, 255);
const COMMANDS: [string, KvCommand][] = [
  [
    '07020a130a02c3b6120201ff2205120303ac022a020801',
    {
      op: 'put',
      key: keyOfText('ö'),
      value: own,
      condition: { ifMatch: [3, 300], ifNoneMatch: 'any' },
    },
  ],
  ['07020a050a01611801', { op: 'delete', key: keyOfText('a') }],
  [
    '070212370a0f080110021a0201ff30ac0282040100120c120a0a0161120162180720011a0d0a0b0a0161120163180220ac021a071a050a01611801',
    {
      op: 'transact',
      request: {
        compare: [{ result: 1, target: 2, key: own, rangeEnd: Uint8Array.of(0), modRevision: 300 }],
        success: [op({ requestPut: putRequest('a', 'b', { lease: 7, prevKv: true }) })],
        failure: [
          op({ requestRange: rangeRequest('a', 'c', { revision: 300, limit: 2 }) }),
          op({ requestDeleteRange: deleteRequest('a', '', true) }),
        ],
      },
    },
  ],
  ['070218ac02', { op: 'compact', revision: 300 }],
  ['070222040807103c', { op: 'grant', lease: 7, ttl: 60 }],
  ['07022807', { op: 'revoke', lease: 7 }],
  ['07023007', { op: 'keepAlive', lease: 7 }],
  ['07023807', { op: 'expire', lease: 7 }],
];

const created = { revision: 300, createRevision: 299, version: 2, lease: 7 };
const deleted = { revision: 301, createRevision: 0, version: 0, lease: 0 };
const SNAPSHOT: [string, KvSnapshot] = [
  '070208ad0210ac0218ab02320f0807103c19000000c585317a422003220e0a01621200180720ab02280230072a120a02c3b6120201ff18ac0220ab02280230072a060a016218ad02',
  {
    revision: 301,
    compacted: 300,
    forgotten: 299,
    base: [{ key: keyOfText('b'), value: new Uint8Array(), ...created, revision: 7 }],
    changes: [
      { key: keyOfText('ö'), value: own, ...created },
      { key: keyOfText('b'), value: undefined, ...deleted },
    ],
    leases: [{ id: 7, ttl: 60, expiresAt: 1_800_000_000_000, timer: 3 }],
  },
];

const RESULTS: [string, KvResult | EtcdResult][] = [
  ['030000000000c07240', { done: true, revision: 300, existed: true }],
  ['8008ac02120d6c656173654e6f74466f756e64', { revision: 300, refused: 'leaseNotFound' }],
  ['8008ac02203c', { revision: 300, ttl: 60 }],
  [
    '8008ac021a100a0318ac0210011a0712050a0318ac02',
    {
      revision: 300,
      txn: {
        header: { revision: 300 },
        succeeded: true,
        responses: [{ responsePut: { header: { revision: 300 } } }],
      },
    },
  ],
];

/** Bytes as they were written once: they are in logs and snapshots. */
describe('stored bytes', () => {
  const bytesOf = (hex: string): Uint8Array => Buffer.from(hex, 'hex');
  const value = Uint8Array.of(1, 255);

  test('of format 1 are read', () => {
    const { command, snapshot } = kvCodecs;
    expect(command!.decode(bytesOf('0a02c3b6120201ff2205120303ac022a020801'))).toEqual({
      op: 'put',
      key: keyOfText('ö'),
      value,
      condition: { ifMatch: [3, 300], ifNoneMatch: 'any' },
      byPosition: true,
    });
    expect(command!.decode(bytesOf('0a01611801'))).toEqual({
      op: 'delete',
      key: 'a',
      byPosition: true,
    });
    const stored = '0a0b0a02c3b6120201ff18ac020a050a0161180710ad02';
    const rest = { version: 1, lease: 0 };
    expect(snapshot!.decode(bytesOf(stored))).toEqual({
      revision: 301,
      compacted: 301,
      forgotten: 301,
      base: [
        { key: keyOfText('ö'), value, revision: 300, createRevision: 300, ...rest },
        { key: 'a', value: new Uint8Array(), revision: 7, createRevision: 7, ...rest },
      ],
      changes: [],
      leases: [],
    });
  });

  test.each(COMMANDS)('of format 2 are written and read: %s', (hex, command) => {
    expect(Buffer.from(kvCodecs.command!.encode(command)).toString('hex')).toBe(hex);
    expect(kvCodecs.command!.decode(bytesOf(hex))).toMatchObject(command);
  });

  test('of a snapshot of format 2 are written and read', () => {
    const [hex, snapshot] = SNAPSHOT;
    expect(Buffer.from(kvCodecs.snapshot!.encode(snapshot)).toString('hex')).toBe(hex);
    expect(kvCodecs.snapshot!.decode(bytesOf(hex))).toEqual(snapshot);
  });

  test.each(RESULTS)('of results are written and read: %s', (hex, result) => {
    expect(Buffer.from(kvCodecs.result!.encode(result)).toString('hex')).toBe(hex);
    expect(kvCodecs.result!.decode(bytesOf(hex))).toMatchObject(result);
  });
});
