import fc from 'fast-check';
import { BehaviorSubject, lastValueFrom } from 'rxjs';
import { sleep } from '../../base/index.ts';
import { MemoryLog, World } from '../../testing/index.ts';
import {
  type ApplyContext,
  type EffectRunner,
  electLeader,
  type Leadership,
  type LockCommand,
  type LockResult,
  LockTable,
  type LockTableState,
  Outbox,
  type OutboxState,
  type Replica,
  runEffects,
  type StateMachine,
  startReplica,
} from '../index.ts';

type Command =
  | { readonly send: readonly string[] }
  | { readonly done: string }
  | { readonly lock: LockCommand };
type Result = readonly (string | null)[] | boolean | LockResult;
interface State {
  readonly locks: LockTableState;
  readonly outbox: OutboxState<{ mail: string }>;
}

class Mailing implements StateMachine<Command, Result, State> {
  readonly locks = new LockTable<Command>((lock) => ({ lock }));
  readonly outbox = new Outbox<{ mail: string }>({ countMax: 5 });

  apply(command: Command, context: ApplyContext<Command>): Result {
    if ('lock' in command) return this.locks.apply(command.lock, context);
    if ('done' in command) return this.outbox.acknowledge(command.done);
    return command.send.map((mail) => this.outbox.add({ mail }, context) ?? null);
  }
  snapshot(): State {
    return { locks: this.locks.snapshot(), outbox: this.outbox.snapshot() };
  }
  restore({ locks, outbox }: State): void {
    this.locks.restore(locks);
    this.outbox.restore(outbox);
  }
}

type Mailer = Replica<Command, Result, Mailing>;

async function play(seed: number, scene: (world: World) => Promise<void>): Promise<void> {
  const world = new World(seed, { guard: false });
  try {
    await world.play(() => scene(world));
  } finally {
    world.close();
  }
}

const start = (world: World, log: MemoryLog, name: string): Promise<Mailer> =>
  startReplica({ machine: new Mailing(), log, ports: world.ports(name), snapshotEvery: 4 });

const runnerOf = (
  replica: Mailer,
  leadership$: BehaviorSubject<Leadership | undefined>,
  world: World,
  name: string,
  handler: Parameters<typeof runEffects<Command, Result, Mailing, { mail: string }>>[1],
): EffectRunner<Command, Result, Mailing, { mail: string }> =>
  runEffects(
    {
      replica,
      outbox: (it) => it.outbox,
      acknowledge: (key) => ({ done: key }),
      leadership$,
      ports: world.ports(name),
    },
    handler,
  );

describe('outbox', () => {
  test('effects wait in order, under keys of their own, up to a limit, also across snapshots', () => {
    const step = fc.oneof(
      fc.record({ add: fc.nat(3), index: fc.nat(1) }),
      fc.record({ done: fc.nat(9) }),
      fc.constant('restore' as const),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let outbox = new Outbox<number>({ countMax: 6 });
        let model: { key: string; effect: number }[] = [];
        const keys = new Set<string>();
        steps.forEach((it, position) => {
          if (it === 'restore') {
            const state = JSON.parse(JSON.stringify(outbox.snapshot()));
            outbox = new Outbox<number>({ countMax: 6 });
            outbox.restore(state);
          } else if ('add' in it) {
            for (let i = 0; i < it.add; i++) {
              const key = outbox.add(position, { position, index: it.index });
              expect(key === undefined).toBe(model.length === 6);
              if (key === undefined) continue;
              expect(keys.has(key)).toBe(false);
              keys.add(key);
              model.push({ key, effect: position });
            }
          } else {
            const key = model[it.done]?.key;
            expect(outbox.acknowledge(key ?? 'another')).toBe(key !== undefined);
            expect(outbox.acknowledge(key ?? 'another')).toBe(false);
            model = model.filter((effect) => effect.key !== key);
          }
          expect(outbox.snapshot()).toEqual(model);
          expect(outbox.first).toEqual(model[0]);
          expect(outbox.size).toBe(model.length);
        });
      }),
    );
  });

  test('each effect is done, though leaders die in between, and none once the machine knows that it was', async () => {
    for (let seed = 1; seed <= 2; seed++) {
      await play(seed, async (world) => {
        const { clock, random } = world.ports('test');
        const log = new MemoryLog();
        /** What the outside has seen: by the key each counts once. */
        const seen = new Map<string, string>();
        const known = new Set<string>();
        const problems: string[] = [];
        let repeated = 0;
        let newest = 0;
        const candidate = async (name: string) => {
          const replica = await start(world, log, name);
          replica.applied$.subscribe({
            next: ({ command }) => 'done' in command && known.add(command.done),
            error: () => {},
          });
          const election = electLeader<Command, Result, Mailing>({
            replica,
            name: 'mailer',
            owner: name,
            ttlMs: 1_000,
            locks: (it) => it.locks,
            command: (lock) => ({ lock }),
            result: (it) => it as LockResult,
            ports: world.ports(name),
          });
          const runner = runEffects<Command, Result, Mailing, { mail: string }>(
            {
              replica,
              outbox: (it) => it.outbox,
              acknowledge: (key) => ({ done: key }),
              leadership$: election.leadership$,
              ports: world.ports(name),
            },
            async (effect, { key, token, signal }) => {
              if (known.has(key)) problems.push(`${key} is done again`);
              await sleep(clock, random.below(100));
              if (signal.aborted) return;
              if (token < newest) problems.push(`${key} is done by an older leader`);
              newest = token;
              if (random.below(4) === 0) throw new Error('no connection');
              if (seen.has(key)) repeated++;
              seen.set(key, effect.mail);
              effect.mail = 'changed by the handler';
            },
          );
          return { replica, election, runner };
        };
        const names = ['a', 'b', 'c'];
        const candidates = new Map<string, Awaited<ReturnType<typeof candidate>>>();
        for (const name of names) candidates.set(name, await candidate(name));
        const sent: string[] = [];
        for (let i = 0; i < 60; i++) {
          const { replica } = candidates.get(names[random.below(3)]!)!;
          const mails = [`${i} first`, `${i} second`].slice(0, 1 + random.below(2));
          const keys = (await replica.execute({ send: mails })) as (string | null)[];
          sent.push(...mails.filter((_, j) => keys[j] !== null));
          await sleep(clock, random.below(200));
          if (random.below(5) > 0) continue;
          const name = names.find((it) => candidates.get(it)!.election.token !== undefined);
          if (name === undefined) continue;
          await candidates.get(name)!.replica.close();
          candidates.set(name, await candidate(name));
        }
        const { replica } = candidates.get('a')!;
        while (replica.machine.outbox.size > 0) await sleep(clock, 100);
        expect([...seen.values()].sort()).toEqual(sent.sort());
        expect(problems).toEqual([]);
        expect(sent.length).toBeGreaterThan(20);
        expect(repeated).toBeLessThan(sent.length);
        for (const it of candidates.values()) {
          await it.runner.close();
          await it.election.resign();
          await it.replica.close();
        }
      });
    }
  }, 60_000);

  test('a runner that cannot look into its outbox, or has lost its election, says so and ends', async () => {
    await play(10, async (world) => {
      const log = new MemoryLog();
      await using replica = await start(world, log, 'one');
      const end = new AbortController();
      const leading = new BehaviorSubject<Leadership | undefined>(undefined);
      const given = {
        replica,
        acknowledge: (key: string) => ({ done: key }),
        leadership$: leading,
      };
      const wrong = (): never => {
        throw new Error('wrong');
      };
      const ports = world.ports('one');
      const one = runEffects<Command, Result, Mailing, never>(
        { ...given, outbox: wrong, ports },
        () => {},
      );
      const two = runnerOf(replica, leading, world, 'one', () => {});
      const said = [one, two].map((it) => lastValueFrom(it.failures$).catch((error) => error));
      leading.next({ token: 7, signal: end.signal });
      expect(await said[0]).toEqual(new Error('wrong'));
      leading.error(new Error('no election'));
      expect(await said[1]).toEqual(new Error('no election'));
      await Promise.all([one.close(), two.close()]);
    });
  });

  test('a handler that fails is told of and tried again; an acknowledgement that fails does not do it again', async () => {
    await play(9, async (world) => {
      const { clock } = world.ports('test');
      const log = new MemoryLog();
      await using replica = await start(world, log, 'one');
      await replica.execute({ send: ['x'] });
      const leading = new BehaviorSubject<Leadership | undefined>(undefined);
      const calls: number[] = [];
      const runner = runnerOf(replica, leading, world, 'one', (_, { token }) => {
        calls.push(token);
        if (calls.length < 3) throw new Error('no connection');
        log.disconnect();
      });
      const failures: number[] = [];
      runner.failures$.subscribe(({ attempts }) => failures.push(attempts));
      await sleep(clock, 1_000);
      expect(calls).toEqual([]);
      const end = new AbortController();
      leading.next({ token: 7, signal: end.signal });
      await sleep(clock, 40_000);
      expect(calls).toEqual([7, 7, 7]);
      expect(failures).toEqual([1, 2, 3]);
      log.connect();
      await sleep(clock, 60_000);
      expect(calls).toEqual([7, 7, 7]);
      expect(replica.machine.outbox.size).toBe(0);
      leading.next(undefined);
      end.abort();
      await runner.close();
    });
  });
});
