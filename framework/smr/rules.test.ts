import fc from 'fast-check';
import { MemoryLog } from '../testing/memory-log.ts';
import {
  type ApplyContext,
  type Replica,
  type StateMachine,
  skipCommand,
  startReplica,
  upgradeRules,
  versionedJson,
} from './index.ts';
import { Rules } from './rules.ts';

/** Doubles what it adds from rules 2 on, and trebles it from rules 3 on, as far as its code knows them. */
class Tally implements StateMachine<number, number, number> {
  value = 0;
  readonly rules: number;
  readonly rulesFrom: number;
  constructor(rules: number, rulesFrom = 1) {
    this.rules = rules;
    this.rulesFrom = rulesFrom;
  }
  apply(add: number, { rules }: ApplyContext): number {
    expect(rules).toBeLessThanOrEqual(this.rules);
    expect(rules).toBeGreaterThanOrEqual(this.rulesFrom);
    this.value += add * rules;
    return this.value;
  }
  snapshot(): number {
    return this.value;
  }
  restore(value: number): void {
    this.value = value;
  }
}

type TallyReplica = Replica<number, number, Tally>;
const start = (log: MemoryLog, rules: number, snapshotEvery?: number): Promise<TallyReplica> =>
  startReplica({
    machine: new Tally(rules),
    log,
    ...(snapshotEvery === undefined ? {} : { snapshotEvery }),
  });

const step = fc.oneof(
  fc.record({ kind: fc.constant('execute' as const), at: fc.nat(2), add: fc.nat(9) }),
  fc.record({
    kind: fc.constant('restart' as const),
    at: fc.nat(2),
    code: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({
    kind: fc.constant('raise' as const),
    at: fc.nat(2),
    to: fc.integer({ min: 1, max: 3 }),
  }),
);

describe('rules that an entry raises', () => {
  test('replicas of whatever code, started and stopped at any time, never answer differently', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 25 }),
        fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
        async (steps, snapshotEvery) => {
          const log = new MemoryLog();
          const answers = new Map<number, number>();
          const follow = async (code: number): Promise<TallyReplica> => {
            const replica = await start(log, code, snapshotEvery);
            replica.applied$.subscribe({
              next: ({ position, result }) => {
                expect(answers.get(position) ?? result).toBe(result);
                answers.set(position, result);
              },
              error: (error) => expect(error).toMatchObject({ code: 'APPLY_FAILED' }),
            });
            return replica;
          };
          const replicas = [await follow(1), await follow(2), await follow(3)];
          const stops = (error: unknown): void =>
            expect(['APPLY_FAILED', 'CLOSED', 'INVALID_ARGUMENT']).toContain(
              (error as { code?: string }).code,
            );
          for (const it of steps) {
            const replica = replicas[it.at]!;
            if (it.kind === 'execute') await replica.execute(it.add).catch(stops);
            else if (it.kind === 'raise') await replica.upgradeTo(it.to).catch(stops);
            else {
              await replica.close();
              replicas[it.at] = await follow(it.code);
            }
          }
          for (const it of replicas) await it.close();
          // Whatever was stopped goes on with newer code.
          const all = [await follow(3), await follow(3)];
          expect(await all[0]!.upgradeTo(3)).toBe(3);
          await all[1]!.execute(1);
          const values = await Promise.all(all.map((it) => it.query(({ value }) => value)));
          expect(new Set(values).size).toBe(1);
          for (const it of all) await it.close();
        },
      ),
      { numRuns: 40 },
    );
  }, 60_000);

  test('older code stops before it applies anything under them, and says so; its state stays', async () => {
    const log = new MemoryLog();
    await using old = await start(log, 1);
    await using young = await start(log, 2);
    expect(await old.execute(5)).toBe(5);
    await expect(old.upgradeTo(2)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await young.upgradeTo(2)).toBe(2);
    expect(await young.upgradeTo(1)).toBe(2);
    const stopped = /APPLY_FAILED: rules 2 are in force from position \d+ on.*up to 1.*newer code/;
    await expect(old.caughtUp()).rejects.toThrow(stopped);
    await expect(old.execute(5)).rejects.toThrow(stopped);
    await expect(old.query(() => 0)).rejects.toThrow(stopped);
    expect(old.machine.value).toBe(5);
    expect(await young.execute(5)).toBe(15);
    const status = await new Promise((resolve) => young.status$.subscribe(resolve));
    expect(status).toMatchObject({ state: 'running', rules: 2 });
    await using again = await start(log, 3);
    expect(await again.query((it) => it.value)).toBe(15);
  });

  test('an upgrade that no code knows is taken back by order; one that some code applied is not', async () => {
    const log = new MemoryLog();
    await using one = await start(log, 2, 1);
    await one.execute(1);
    const position = await upgradeRules(log, 9);
    await expect(one.caughtUp()).rejects.toMatchObject({ code: 'APPLY_FAILED' });
    await skipCommand(log, position);
    await using two = await start(log, 2);
    expect(await two.execute(1)).toBe(2);
    expect(await two.upgradeTo(2)).toBe(2);
    expect(await two.execute(1)).toBe(4);
    await two.execute(1);
    const applied = await upgradeRules(log, 2, { name: 'machine' });
    await two.execute(1);
    await two.execute(1);
    await expect(skipCommand(log, applied)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  });

  test('code that forgot old rules does not guess: it begins after them', async () => {
    const log = new MemoryLog();
    const make = (): Promise<TallyReplica> => startReplica({ machine: new Tally(3, 2), log });
    await using fresh = await make();
    expect(await fresh.upgradeTo(3)).toBe(3);
    expect(await fresh.execute(1)).toBe(3);
    const older = new MemoryLog();
    await using writer = await start(older, 3);
    await writer.execute(1);
    await using reader = await startReplica({ machine: new Tally(3, 2), log: older });
    await expect(reader.caughtUp()).rejects.toThrow(/by rules 1, and this code knows them from 2/);
  });

  test('code that does not know the rules of a snapshot says so, whatever else it cannot read', async () => {
    const log = new MemoryLog();
    await using young = await start(log, 2, 1);
    await young.upgradeTo(2);
    await young.execute(1);
    await young.execute(1);
    const snapshot = { encode: () => new Uint8Array(), decode: () => expect(1).toBe(2) as never };
    await using old = await startReplica({ machine: new Tally(1), log, codec: { snapshot } });
    await expect(old.caughtUp()).rejects.toThrow(/rules 2 are in force in the snapshot/);
    expect(old.machine.value).toBe(0);
  });

  test('versions that make no sense are refused', async () => {
    expect(() => new Rules({ rules: 1.5 })).toThrow(/INVALID_ARGUMENT.*1.5/);
    expect(() => new Rules({ rules: 1, rulesFrom: 2 })).toThrow(/from 2 to 1/);
    await expect(upgradeRules(new MemoryLog(), 0)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    const log = new MemoryLog();
    await using replica = await start(log, 2);
    await replica.caughtUp();
    log.disconnect();
    await expect(replica.upgradeTo(2, { timeoutMs: 20 })).rejects.toMatchObject({
      code: 'TIMEOUT',
    });
  });

  test('a command of a newer shape stops a replica with what to do', async () => {
    const log = new MemoryLog();
    const young = versionedJson<[number, { add: number }]>({ upcast: { 1: (add) => ({ add }) } });
    const apply = { apply: () => 0, snapshot: () => 0, restore: () => {} };
    await using writer = await startReplica({ machine: apply, log, codec: { command: young } });
    await writer.execute({ add: 1 });
    const command = versionedJson<[number]>({ upcast: {} });
    await using reader = await startReplica({ machine: { ...apply }, log, codec: { command } });
    await expect(reader.caughtUp()).rejects.toThrow(
      /APPLY_FAILED: the command at position 2 is of a newer shape.*the code that wrote it, or newer/,
    );
  });
});
