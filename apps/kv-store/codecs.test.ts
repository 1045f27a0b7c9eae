import fc from 'fast-check';
import { kvCodecs } from './codecs.ts';
import type { Condition, Revisions } from './condition.ts';
import type { KvCommand, KvSnapshot } from './machine.ts';

const revision = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const revisions: fc.Arbitrary<Revisions> = fc.oneof(
  fc.constant('any' as const),
  fc.array(revision, { maxLength: 3 }),
);
const condition: fc.Arbitrary<Condition> = fc
  .record({ ifMatch: revisions, ifNoneMatch: revisions }, { requiredKeys: [] })
  .filter((it) => Object.keys(it).length > 0);
const key = fc.string({ unit: 'grapheme' });
const bytes = fc.uint8Array({ maxLength: 300 });
const command: fc.Arbitrary<KvCommand> = fc.oneof(
  fc.record({ op: fc.constant('put' as const), key, value: bytes }),
  fc.record({ op: fc.constant('delete' as const), key }),
);

test('a command comes out of the log as it went in, whatever its bytes', () => {
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
  const items = fc.array(fc.record({ key, value: bytes, revision }), { maxLength: 5 });
  fc.assert(
    fc.property(items, revision, (some, newest) => {
      const snapshot: KvSnapshot = { items: some, newest };
      expect(kvCodecs.snapshot!.decode(kvCodecs.snapshot!.encode(snapshot))).toEqual(snapshot);
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
