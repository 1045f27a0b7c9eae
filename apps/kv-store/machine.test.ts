import fc from 'fast-check';
import { inPieces } from 'varlog/smr';
import { kvCodecs } from './codecs.ts';
import {
  anyTransaction,
  LEASES,
  op,
  putRequest,
  rangeRequest,
  withinOne,
} from './etcd/requests.fixture.ts';
import { keyOfText } from './key.ts';
import {
  type EtcdCommand,
  type EtcdResult,
  type KvCommand,
  KvMachine,
  type KvSnapshot,
} from './machine.ts';
import { Model } from './model.fixture.ts';
import { messages } from './proto.ts';
import { TimedLog } from './timed-log.fixture.ts';
import type { Version } from './version.ts';

const lease = fc.constantFrom(...LEASES);
const anyCommand: fc.Arbitrary<EtcdCommand> = fc.oneof(
  {
    weight: 12,
    arbitrary: anyTransaction.map((request) => ({ op: 'transact' as const, request })),
  },
  {
    weight: 1,
    arbitrary: fc.nat(8).map((revision) => ({ op: 'compact' as const, revision })),
  },
  { weight: 2, arbitrary: lease.map((it) => ({ op: 'grant' as const, lease: it, ttl: 60 })) },
  { weight: 1, arbitrary: lease.map((it) => ({ op: 'revoke' as const, lease: it })) },
  { weight: 1, arbitrary: lease.map((it) => ({ op: 'keepAlive' as const, lease: it })) },
);

/** Between two commands: a lease of a minute lives for six of them. */
const STEP_MS = 10_000;

/** To a machine without leases. */
const apply = (machine: KvMachine, command: KvCommand, position: number) =>
  new TimedLog().apply(machine, command, position, 0);

/** The same after a way through the log. */
function stored<T>(
  codec: { encode(value: T): Uint8Array; decode(bytes: Uint8Array): T },
  it: T,
): T {
  return codec.decode(codec.encode(it));
}

function merged(pieces: readonly KvSnapshot[]): KvSnapshot {
  return {
    ...pieces[0]!,
    leases: pieces.flatMap(({ leases }) => leases),
    base: pieces.flatMap(({ base }) => base),
    changes: pieces.flatMap(({ changes }) => changes),
  };
}

/** All that a snapshot of a machine holds. */
function wholeOf(machine: KvMachine): KvSnapshot {
  return merged([...machine.snapshot().begin()]);
}

/** The same after a way through a store. */
function storedWhole(machine: KvMachine): KvSnapshot {
  return merged([...machine.snapshot().begin()].map((it) => stored(kvCodecs.snapshot!, it)));
}

/** Another machine, from a snapshot. */
function restored(machine: KvMachine): KvMachine {
  const other = new KvMachine();
  void other.restore(storedWhole(machine));
  return other;
}

/** As answers are told: bytes are bytes, and what is absent is zero. */
function told(result: unknown): unknown {
  return stored(kvCodecs.result!, result as EtcdResult);
}

/** What the machine knows of its changes, and what the model says of the same. */
function changesOf(machine: KvMachine, from: number): (readonly Version[])[] {
  const pieces: (readonly Version[])[] = [];
  for (let next = from; ; next = pieces.at(-1)!.at(-1)!.revision + 1) {
    const piece = machine.history.from(next)!;
    if (piece.length === 0) return pieces;
    pieces.push(piece);
  }
}

function replayed(model: Model, from: number, changes: readonly Version[]): void {
  const items = new Map(model.past.get(from));
  for (let revision = from + 1; revision <= model.revision; revision++) {
    const own = changes.filter((it) => it.revision === revision);
    expect(own.length).toBeGreaterThan(0);
    expect(new Set(own.map(({ key }) => key)).size).toBe(own.length);
    for (const { key, value, createRevision: created, version, ...it } of own) {
      if (value === undefined) expect(items.delete(key)).toBe(true);
      else {
        const text = Buffer.from(value).toString('latin1');
        items.set(key, { value: text, created, mod: it.revision, version, lease: it.lease });
      }
    }
    expect(items).toEqual(model.past.get(revision));
  }
}

/** Long enough for revisions to be compacted and leases to end. */
const LONG = { minLength: 20, maxLength: 60, size: 'max' } as const;

describe('the machine, against a model that keeps every revision', () => {
  test('answers, changes and remembers as it does, also from snapshots', () => {
    fc.assert(
      fc.property(fc.array(anyCommand, LONG), fc.nat(60), (commands, cut) => {
        const model = new Model();
        const log = new TimedLog();
        let machine = new KvMachine();
        commands.forEach((it, i) => {
          if (i === cut) machine = restored(machine);
          // Revisions that have just been, and some that will be.
          const newest = model.revision + 2;
          const command =
            it.op === 'compact' ? { ...it, revision: Math.max(0, newest - it.revision) } : it;
          const given = stored(kvCodecs.command!, command as KvCommand);
          const result = log.apply(machine, given, i + 1, i * STEP_MS);
          expect(told(result)).toEqual(told(model.apply(command, i * STEP_MS)));
          expect(machine.size).toBe(model.items.size);
          expect([machine.revision, machine.compacted]).toEqual([model.revision, model.compacted]);
        });
        expect(wholeOf(restored(machine))).toEqual(wholeOf(machine));
        expect(machine.leaseIds()).toEqual([...model.leases.keys()].sort());
        const changed = changesOf(machine, Math.max(machine.history.forgotten, 1) + 1).flat();
        const later = changed.filter(({ revision }) => revision > machine.compacted);
        const keys = [...model.items.keys(), ...later.map((it) => it.key)];
        expect(machine.remembered).toBe(new Set(keys).size);
        // One for each, however often it was kept alive.
        expect(log.timers.size).toBe(model.leases.size);
        // What was compacted is asked for in vain, and everything else is known.
        const known = Math.max(machine.history.forgotten, 1);
        for (let revision = known + 1; revision <= model.revision; revision++) {
          const request = rangeRequest('\0', '\0', { revision });
          const answer = new Model();
          answer.past.set(1, model.past.get(revision)!);
          const { txn } = answer.apply(
            {
              op: 'transact',
              request: {
                compare: [],
                success: [op({ requestRange: rangeRequest('\0', '\0') })],
                failure: [],
              },
            },
            0,
          );
          const [whole] = txn!.responses as { responseRange: object }[];
          expect({ header: { revision: 1 }, ...machine.read(request) }).toEqual(
            whole!.responseRange,
          );
        }
        if (known > 1) expect(machine.history.from(known)).toBeUndefined();
        if (machine.compacted > 1)
          expect(() =>
            machine.read(rangeRequest('\0', '', { revision: machine.compacted - 1 })),
          ).toThrow('compacted');
        replayed(model, known, changed);
      }),
      { numRuns: 25 },
    );
  });

  test('keeps its past within limits, at the same command wherever it began', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat(3_000)), {
          maxLength: 200,
          size: 'max',
        }),
        fc.nat(200),
        (puts, cut) => {
          const limits = { changesMax: 50, bytesMax: 100_000 };
          const whole = new KvMachine(limits);
          let parts = new KvMachine(limits);
          puts.forEach(([key, size], i) => {
            if (i === cut) {
              const snapshot = storedWhole(parts);
              parts = new KvMachine(limits);
              void parts.restore(snapshot);
            }
            const put = { op: 'put' as const, key: keyOfText(key), value: new Uint8Array(size) };
            for (const it of [whole, parts]) apply(it, put, i + 1);
            expect(parts.compacted).toBe(whole.compacted);
            expect(whole.history.length).toBeLessThanOrEqual(51);
          });
          expect(wholeOf(parts)).toEqual(wholeOf(whole));
        },
      ),
      { numRuns: 15 },
    );
  });
});

test('a snapshot is of the moment of its call, whatever is applied while it is read', async () => {
  const limits = { changesMax: 300, bytesMax: 1e6 };
  const machine = new KvMachine(limits);
  let position = 0;
  const put = (times: number): void => {
    for (let i = 0; i < times; i++) {
      const [key, value] = [keyOfText(`k${(position * 7) % 1_200}`), Buffer.from(`${position}`)];
      apply(machine, { op: 'put', key, value }, ++position);
    }
  };
  put(1_500);
  for (let round = 0; round < 3; round++) {
    const expected = wholeOf(machine);
    const pieces: KvSnapshot[] = [];
    for (const it of machine.snapshot().begin()) {
      pieces.push(stored(kvCodecs.snapshot!, it));
      // A part of the first block of changes is forgotten in between, then whole ones.
      if (pieces.length === 1)
        apply(machine, { op: 'compact', revision: machine.revision - 290 }, 1);
      put(20);
    }
    expect(pieces.length).toBeGreaterThan(50);
    const other = new KvMachine(limits);
    await other.restore(inPieces(pieces));
    expect(wholeOf(other)).toEqual(expected);
    expect(other.revision).toBe(expected.revision);
  }
});

/** Commands and snapshots as they were written when revisions were positions. */
describe('what an older version has stored', () => {
  const Write = messages.lookupType('kv.stored.Write');
  const Snapshot = messages.lookupType('kv.stored.Snapshot');
  const first = fc.record({
    key: fc.constantFrom('a', 'b', 'ö'),
    put: fc.option(fc.uint8Array({ maxLength: 3 }), { nil: undefined }),
    ifNoneMatch: fc.option(fc.constant({ any: true }), { nil: undefined }),
  });
  const encoded = ({ key, put, ...it }: { key: string; put: Uint8Array | undefined }) =>
    Write.encode(
      Write.fromObject({ key: Buffer.from(key), ...(put ? { put } : { delete: true }), ...it }),
    ).finish();

  test('is read: from its snapshots and from its commands the same comes', () => {
    fc.assert(
      fc.property(
        fc.array(first, { maxLength: 20, size: 'max' }),
        fc.nat(20),
        fc.array(anyTransaction, { maxLength: 10, size: 'max' }),
        (commands, cut, later) => {
          const whole = new KvMachine();
          const items = new Map<string, { value: Uint8Array; revision: number }>();
          let newest = 0;
          let parts = new KvMachine();
          commands.forEach((it, i) => {
            const position = 2 * i + 2;
            if (i === cut) {
              const all = [...items].map(([key, item]) => ({ key: Buffer.from(key), ...item }));
              const bytes = Snapshot.encode(Snapshot.fromObject({ items: all, newest })).finish();
              parts = new KvMachine();
              void parts.restore(kvCodecs.snapshot!.decode(bytes));
            }
            const command = kvCodecs.command!.decode(encoded(it));
            const result = apply(whole, command, position);
            expect(apply(parts, command, position)).toEqual(result);
            if (!('done' in result) || !result.done) return;
            expect(result.revision).toBe(position);
            newest = position;
            if (it.put === undefined) items.delete(it.key);
            else items.set(it.key, { value: it.put, revision: position });
          });
          for (const [key, item] of items) expect(whole.get(keyOfText(key))).toMatchObject(item);
          later.forEach((request, i) => {
            const command = { op: 'transact' as const, request };
            expect(apply(parts, command, 100 + i)).toEqual(apply(whole, command, 100 + i));
          });
          if (cut < commands.length) expect(wholeOf(parts)).toEqual(wholeOf(whole));
        },
      ),
    );
  });

  test('what a later version wrote is refused with its format', () => {
    for (const { decode } of [kvCodecs.command!, kvCodecs.snapshot!])
      expect(() => decode(Uint8Array.of(7, 3, 0))).toThrow('FORMAT_UNKNOWN');
    // An operation of a kind to come.
    expect(() => kvCodecs.command!.decode(Uint8Array.of(7, 2, 0x78, 1))).toThrow('FORMAT_UNKNOWN');
  });

  test('an older version refuses what this one writes: it is no message', () => {
    const machine = new KvMachine();
    const request = {
      compare: [],
      success: [op({ requestPut: putRequest('a', 'b') })],
      failure: [],
    };
    const command: KvCommand = { op: 'transact', request };
    apply(machine, command, 1);
    expect(() => Write.decode(kvCodecs.command!.encode(command))).toThrow('illegal tag');
    const [piece] = machine.snapshot().begin();
    expect(() => Snapshot.decode(kvCodecs.snapshot!.encode(piece!))).toThrow('illegal tag');
  });
});

test('conditions of a transaction within are about the state before', () => {
  const machine = new KvMachine();
  for (const [i, branch] of ['then', 'else'].entries()) {
    apply(machine, { op: 'transact', request: withinOne }, i + 1);
    const { value, revision } = machine.get(keyOfText('b'))!;
    expect([Buffer.from(value).toString(), revision]).toEqual([branch, i + 2]);
  }
});

test('a condition that is not understood does not stop the machine, and does not hold', () => {
  const request = {
    compare: [{ key: Buffer.from('absent'), rangeEnd: new Uint8Array(), result: 0, target: 9 }],
    success: [op({ requestPut: putRequest('a', 'then') })],
    failure: [op({ requestPut: putRequest('a', 'else') })],
  };
  const machine = new KvMachine();
  expect(apply(machine, { op: 'transact', request }, 1)).toMatchObject({
    txn: { succeeded: false },
  });
  expect(machine.inspect('a')).toMatchObject({ value: 'else' });
});

test('leases take their keys with them, which a put without it or a deletion takes out', () => {
  const [machine, log] = [new KvMachine(), new TimedLog()];
  const at = (time: number, command: KvCommand) => log.apply(machine, command, 1, time);
  const put = (key: string, of: number): void => {
    const requestPut = putRequest(key, 'x', { lease: of });
    at(1, {
      op: 'transact',
      request: { compare: [], success: [op({ requestPut })], failure: [] },
    });
  };
  at(1, { op: 'grant', lease: 7, ttl: 10 });
  for (const key of ['a', 'b', 'c', 'd']) put(key, 7);
  put('b', 0);
  at(1, { op: 'delete', key: keyOfText('c') });
  expect([...machine.keysOfLease(7)]).toEqual(['a', 'd']);
  expect([...restored(machine).keysOfLease(7)]).toEqual(['a', 'd']);
  const { revision } = machine;
  const nothing = { op: 'delete', key: keyOfText('z') } as const;
  at(9_000, { op: 'keepAlive', lease: 7 });
  at(18_999, nothing);
  expect(machine.lease(7)).toBeDefined();
  at(19_000, nothing);
  expect(machine.lease(7)).toBeUndefined();
  expect(log.timers.size).toBe(0);
  const gone = machine.history.from(revision + 1)!;
  expect(gone.map((it) => [it.key, it.value, it.revision])).toEqual([
    ['a', undefined, revision + 1],
    ['d', undefined, revision + 1],
  ]);
  expect(machine.size).toBe(1);
});
