import fc from 'fast-check';
import { startReplica } from 'varlog/smr';
import { MemoryLog, SeededRandom, simulate, strictMachine } from 'varlog/testing';
import { kvCodecs } from './codecs.ts';
import { anyTransaction, LEASES } from './etcd/requests.fixture.ts';
import { keyOfText } from './key.ts';
import { KeyHistory } from './key-history.ts';
import { type KvCommand, KvMachine, type KvSnapshot } from './machine.ts';
import { TimedLog } from './timed-log.fixture.ts';
import type { Version } from './version.ts';

/** So that the past is forgotten all the time. */
const LIMITS = { changesMax: 130, bytesMax: 100_000 };

const lease = fc.constantFrom(...LEASES);
const key = fc.nat(30).map((it) => keyOfText(`k${it}`));
const anyCommand: fc.Arbitrary<KvCommand> = fc.oneof(
  { weight: 4, arbitrary: anyTransaction.map((request) => ({ op: 'transact', request })) },
  {
    weight: 8,
    arbitrary: fc.record({
      op: fc.constant('put'),
      key,
      value: fc.uint8Array({ maxLength: 5 }),
    }),
  },
  { weight: 3, arbitrary: key.map((it) => ({ op: 'delete', key: it })) },
  { weight: 1, arbitrary: fc.nat(60).map((revision) => ({ op: 'compact', revision })) },
  { weight: 2, arbitrary: lease.map((it) => ({ op: 'grant', lease: it, ttl: 60 })) },
  { weight: 1, arbitrary: lease.map((it) => ({ op: 'revoke', lease: it })) },
  { weight: 1, arbitrary: lease.map((it) => ({ op: 'keepAlive', lease: it })) },
) as fc.Arbitrary<KvCommand>;

/** All that a snapshot holds, and what cannot be seen in it. */
function stateOf(machine: KvMachine): unknown {
  const pieces: KvSnapshot[] = [...machine.snapshot().begin()];
  const held = machine.leaseIds().map((id) => [...machine.keysOfLease(id)]);
  return { pieces, held, size: machine.size, remembered: machine.remembered };
}

interface Branch {
  readonly machine: KvMachine;
  readonly commands: KvCommand[];
}

const STEP_MS = 10_000;

/** The same commands for a machine that was never forked; timers are left aside, as machines share none. */
function madeOf(commands: readonly KvCommand[]): KvMachine {
  const machine = new KvMachine(LIMITS);
  for (const [i, it] of commands.entries())
    new TimedLog().apply(machine, it, i + 1, (i + 1) * STEP_MS);
  return machine;
}

test('a fork and its machine are each what their own commands make', () => {
  const step = fc.record({ command: anyCommand, who: fc.nat(), forks: fc.nat(12) });
  fc.assert(
    fc.property(fc.array(step, { minLength: 60, maxLength: 200, size: 'max' }), (steps) => {
      const all: Branch[] = [{ machine: new KvMachine(LIMITS), commands: [] }];
      for (const { command, who, forks } of steps) {
        const { machine, commands } = all[who % all.length]!;
        if (forks === 0 && all.length < 6)
          all.push({ machine: machine.fork(), commands: [...commands] });
        commands.push(command);
        const position = commands.length;
        new TimedLog().apply(machine, command, position, position * STEP_MS);
      }
      for (const { machine, commands } of all)
        expect(stateOf(machine)).toEqual(stateOf(madeOf(commands)));
    }),
    { numRuns: 15 },
  );
});

test('a history and its copy are each what was done to them, however long', () => {
  const step = fc.record({ first: fc.boolean(), prunes: fc.nat(40), deletes: fc.nat(5) });
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 300, maxLength: 700, size: 'max' }),
      fc.nat(400),
      (steps, cut) => {
        const version = (revision: number, isGone: boolean): Version => {
          const value = isGone ? undefined : new Uint8Array();
          const rest = { createRevision: 0, version: 0, lease: 0 };
          return { key: keyOfText('k'), value, revision, ...rest };
        };
        const of = [new KeyHistory({}, [version(1, false)])];
        const plain = [[version(1, false)]];
        steps.forEach(({ first, prunes, deletes }, i) => {
          if (i === cut) {
            of.push(of[0]!.copy({}));
            plain.push([...plain[0]!]);
          }
          const at = first ? 0 : of.length - 1;
          const revision = 2 * i + 3;
          const added = version(revision, deletes === 0);
          of[at]!.add(added);
          plain[at]!.push(added);
          const oldest = revision - 400 + prunes * 7;
          if (prunes > 3 || oldest <= 0) return;
          expect(of[at]!.prune(oldest)).toBe(true);
          const kept = plain[at]!.findLastIndex((it) => it.revision <= oldest);
          if (kept < 0) return;
          plain[at]!.splice(0, plain[at]![kept]!.value === undefined ? kept + 1 : kept);
        });
        const all = Array.from({ length: 2 * steps.length + 3 }, (_, revision) => revision);
        for (const [i, history] of of.entries())
          expect(all.map((it) => history.at(it))).toEqual(
            all.map((revision) => {
              const found = plain[i]!.findLast((it) => it.revision <= revision);
              return found?.value === undefined ? undefined : found;
            }),
          );
      },
    ),
    { numRuns: 10 },
  );
});

const puts = (random: { below(n: number): number }): KvCommand => {
  const name = keyOfText(`k${random.below(4)}`);
  if (random.below(5) === 0) return { op: 'delete', key: name };
  const condition = random.below(3) === 0 ? { condition: { ifNoneMatch: 'any' as const } } : {};
  return { op: 'put', key: name, value: Buffer.from(`${random.below(9)}`), ...condition };
};

test('speculation at a replica ends in the state of those who wait', async () => {
  const random = new SeededRandom(7);
  const log = new MemoryLog();
  const machine = () => strictMachine(() => new KvMachine(LIMITS));
  const start = () => startReplica({ machine: machine(), log, codec: kvCodecs });
  await using here = await start();
  await using there = await start();
  const kinds = new Set<string>();
  const settling: Promise<unknown>[] = [];
  for (let i = 0; i < 150; i++) {
    const command = puts(random);
    if (random.below(5) === 0) settling.push(there.execute(command));
    else {
      const { tentative, settled } = await here.speculate(command);
      settling.push(
        settled.then(({ kind, result }) => {
          kinds.add(kind);
          if (kind === 'confirmed') expect(result).toEqual(tentative);
          else expect(result).not.toEqual(tentative);
        }),
      );
    }
    if (random.below(5) === 0) await Promise.all(settling);
  }
  await Promise.all(settling);
  await there.caughtUp();
  expect(kinds).toContain('confirmed');
  expect(await here.query(stateOf)).toEqual(await there.query(stateOf));
});

test('holds through crashes, partitions and wrong guesses', async () => {
  await simulate(() => new KvMachine(LIMITS), { seeds: 10, workload: puts, codec: kvCodecs });
});
