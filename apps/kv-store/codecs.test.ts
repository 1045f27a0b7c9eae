import fc from 'fast-check';
import { kvCodecs } from './codecs.ts';
import type { Condition, Revisions } from './condition.ts';
import { keyOfBytes } from './key.ts';
import type { KvCommand, KvSnapshot } from './machine.ts';
import type { Version } from './mvcc-store.ts';

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
      const back = kvCodecs.command!.decode(Buffer.concat([stored]));
      expect(back).toEqual(whole);
      // Whatever happens to the batch that it came in.
      if (back.op === 'put') expect(back.value.buffer.byteLength).toBe(back.value.length);
    }),
  );
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
