import { compileFunction } from 'node:vm';
import {
  type Codec,
  handler,
  type Ports,
  type ServerStreamMethod,
  sleep,
  type UnaryMethod,
} from '../../base/index.ts';
import {
  type ClockUnderTest,
  clockContract,
  type NetworkUnderTest,
  networkContract,
} from '../contracts/index.ts';
import { inflict, planFaults, recover, sampleRates } from './nemesis.ts';
import { SeededRandom } from './random.ts';
import { runSeeds } from './run.ts';
import { World } from './world.ts';

const text: Codec<string> = {
  encode: (it) => new TextEncoder().encode(it),
  decode: (it) => new TextDecoder().decode(it),
};
const shape = { request: text, response: text };
const ask: UnaryMethod<string, string> = { kind: 'unary', path: '/test.Test/Ask', ...shape };
const watch: ServerStreamMethod<string, string> = {
  kind: 'serverStream',
  path: '/test.Test/Watch',
  ...shape,
};

for (const [name, links] of [
  ['the simulated network', {}],
  ['a bad simulated network', { latencyMinMs: 1, latencyMeanMs: 20, lossRate: 0.1 }],
] as const) {
  describe(`${name} keeps the contract of all networks`, () => {
    const make = async (): Promise<NetworkUnderTest> => {
      const world = new World(name, { links });
      const client = world.ports('client');
      return {
        clock: client.clock,
        serverSide: world.ports('server').network,
        clientSide: client.network,
        address: 'server:0',
        deadAddress: 'server:1',
        run: (scenario) => world.play(scenario),
        close: async () => world.close(),
      };
    };
    for (const { title, run } of networkContract(make)) test(title, run);
  });
}

describe('the simulated clock keeps the contract of all clocks', () => {
  const make = async (): Promise<ClockUnderTest> => {
    const world = new World('clock');
    const { clock } = world.ports('a');
    return { clock, run: (scenario) => world.play(scenario), close: async () => world.close() };
  };
  for (const { title, run } of clockContract(make)) test(title, run);
});

/** Counts, keeping the count on disk; answers with it. */
async function counter({ disk, network }: Ports, host: string) {
  const file = await disk.open('count', 'create');
  await disk.syncDirectory('');
  let count = (await file.size()) > 0 ? (await file.read(0, 1))[0]! : 0;
  const server = await network.serve(`${host}:1`, [
    handler(ask, async () => {
      const bytes = new Uint8Array([++count]);
      await file.write(0, [bytes]);
      await file.sync();
      return String(count);
    }),
    handler(watch, async (_, stream) => {
      stream.send('here');
      await stream.closed;
    }),
  ]);
  return { close: () => server.close() };
}

describe('a world', () => {
  test('does the same for the same seed, and something else for another', async () => {
    const hash = async (seed: number): Promise<string> => {
      const world = new World(seed, { links: { lossRate: 0.1, resetRate: 0.01 } });
      for (const host of ['a', 'b', 'c']) world.node(host, (ports) => counter(ports, host));
      const rates = { ...sampleRates(world.random.stream('rates')), crashesPerMinute: 20 };
      inflict(world, planFaults(world.random.stream('nemesis'), world.nodes, 10_000, rates));
      const { network, clock } = world.ports('client');
      const channels = world.nodes.map((it) => network.connect(`${it}:1`));
      await world.play(async () => {
        for (let i = 0; i < 100; i++) {
          await channels[i % 3]!.call(ask, '', { timeoutMs: 500 }).catch(() => {});
          await sleep(clock, 20);
        }
      });
      await world.run(10_000);
      world.close();
      return world.trace.hash();
    };
    const [first, again, other] = [await hash(1), await hash(1), await hash(2)];
    expect(again).toBe(first);
    expect(other).not.toBe(first);
  });

  test('a crashed process never goes on, and its disk stays', async () => {
    const world = new World(3);
    const lives: string[] = [];
    world.node('a', async (ports) => {
      const life = ports.random.id();
      lives.push(life);
      const tick = (): void => {
        expect(lives.at(-1)).toBe(life);
        ports.clock.after(1, tick);
      };
      tick();
      return counter(ports, 'a');
    });
    await world.started();
    const channel = world.ports('client').network.connect('a:1');
    expect(await world.play(() => channel.call(ask, ''))).toBe('1');
    for (const powerLoss of [false, true]) {
      const pending = world.play(() => channel.call(ask, ''));
      world.after(0.01, () => world.crash('a', { powerLoss }));
      world.after(1_000, () => world.restart('a'));
      await expect(pending).rejects.toMatchObject({ code: expect.stringMatching(/^UN/) });
      await world.run(2_000);
    }
    expect(new Set(lives).size).toBe(3);
    expect(Number(await world.play(() => channel.call(ask, '')))).toBeGreaterThanOrEqual(2);
    world.close();
  });

  test('peers of a killed process are told, those of a dead machine find out', async () => {
    for (const powerLoss of [false, true]) {
      const world = new World(4);
      world.node('a', (ports) => counter(ports, 'a'));
      await world.started();
      const { network } = world.ports('client');
      let broken: unknown;
      await world.play(
        () =>
          new Promise<void>((resolve) => {
            const stream = network.connect('a:1').subscribe(watch, '');
            stream.receive(() => resolve());
            stream.closed.catch((error: unknown) => {
              broken = error;
            });
          }),
      );
      world.crash('a', { powerLoss });
      await world.run(100);
      expect(broken !== undefined).toBe(!powerLoss);
      await world.run(30_000);
      expect(broken).toMatchObject({ code: 'UNAVAILABLE' });
      world.close();
    }
  });

  test('a partition holds messages back, and connections survive a short one', async () => {
    const world = new World(5);
    world.node('a', (ports) => counter(ports, 'a'));
    await world.started();
    const channel = world.ports('client').network.connect('a:1');
    await world.play(() => channel.call(ask, ''));
    for (const groups of [
      [['client'], ['a']],
      [['a'], ['client']],
    ]) {
      const heal = world.partition(groups, { oneWay: true });
      let answer: string | undefined;
      void channel.call(ask, '').then((it) => {
        answer = it;
      });
      await world.run(3_000);
      expect(answer).toBeUndefined();
      heal();
      await world.run(3_000);
      expect(answer).toBeDefined();
    }
    world.partition([['client'], ['a']]);
    const lost = world.play(() => channel.call(ask, ''));
    await expect(lost).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    const unreachable = world.play(() => channel.call(ask, ''));
    await expect(unreachable).rejects.toMatchObject({ code: 'UNREACHABLE' });
    world.heal();
    expect(await world.play(() => channel.call(ask, ''))).toBe('4');
    world.close();
  });

  test('a paused process does nothing, then all of it in order', async () => {
    const world = new World(6);
    const { clock } = world.ports('a');
    const rang: number[] = [];
    for (let i = 1; i <= 20; i++) clock.after(i, () => rang.push(i));
    clock.after(30, () => rang.push(30));
    await world.run(5.5);
    world.pause('a');
    const before = rang.length;
    await world.run(20);
    expect(rang.length).toBe(before);
    world.resume('a');
    await world.run(20);
    expect(rang).toEqual([...Array.from({ length: 20 }, (_, i) => i + 1), 30]);
  });

  test('wall clocks are wrong and jump, monotonic ones drift', async () => {
    const world = new World(7);
    const [a, b] = [world.ports('a').clock, world.ports('b').clock];
    await world.run(1_000_000);
    expect(a.now()).not.toBe(b.now());
    expect(Math.abs(a.now() / 1_000_000 - 1)).toBeLessThanOrEqual(0.0005);
    const before = a.wall();
    world.jumpWallClock('a', -5_000);
    expect(a.wall()).toBe(before - 5_000);
  });

  test("the machine's own time throws while a world runs, and only then", async () => {
    const world = new World(8);
    for (const leak of [
      () => Date.now(),
      () => new Date(),
      () => Date(),
      () => performance.now(),
      () => Math.random(),
      () => crypto.randomUUID(),
      () => crypto.getRandomValues(new Uint8Array(1)),
      () => setTimeout(() => {}, 1),
      () => setImmediate(() => {}),
      () => AbortSignal.timeout(1),
    ]) {
      await expect(world.play(async () => leak())).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
      });
    }
    const given = await world.play(async () => [
      new Date(5).getTime(),
      new Date(5) instanceof Date,
    ]);
    expect(given).toEqual([5, true]);
    expect(Date.now()).toBeGreaterThan(0);
    expect(new Date().toISOString()).toMatch(/^2/);
    expect(performance.now()).toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, 1));
  });

  test('says what happened last when it is stuck', async () => {
    const world = new World('stuck-seed');
    world.note('the last straw');
    await expect(world.play(() => new Promise(() => {}), 1_000)).rejects.toThrow(
      /stuck-seed[\s\S]*the last straw/,
    );
  });

  test('a process that cannot start fails the run', async () => {
    const world = new World(9);
    world.node('a', async () => {
      throw new Error('no such luck');
    });
    await expect(world.run(1)).rejects.toThrow('no such luck');
  });

  test('faults end, and what was down comes back', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const world = new World(seed);
      for (const host of ['a', 'b', 'c']) world.node(host, (ports) => counter(ports, host));
      const rates = {
        ...sampleRates(new SeededRandom(seed)),
        crashesPerMinute: 10,
        pausesPerMinute: 10,
      };
      const faults = planFaults(new SeededRandom(seed), world.nodes, 30_000, rates);
      expect(JSON.parse(JSON.stringify(faults))).toEqual(faults);
      inflict(world, faults);
      await world.run(30_000);
      recover(world);
      await world.started();
      const { network } = world.ports('client');
      for (const host of world.nodes) {
        expect(Number(await world.play(() => network.connect(`${host}:1`).call(ask, '')))).toBe(1);
      }
      world.close();
    }
  });
});

describe('a world that is left running when its test has ended', () => {
  let left: Promise<void>;
  const forever = (guard: boolean): Promise<void> => {
    const world = new World('left running', { guard });
    const { clock } = world.ports('a');
    const tick = (): void => void clock.after(1, tick);
    tick();
    return world.until(() => false, Number.POSITIVE_INFINITY);
  };

  // A test that takes too long is given up like this one: it ends, and what it waits for goes on.
  test('guards the machine while it runs', () => {
    left = forever(true);
    left.catch(() => {});
    expect(() => performance.now()).toThrow('was called in a simulation');
    // What Node.js does by itself, as for connections that a test before this one left, is no part of it.
    const filename = 'node:internal/deps/undici/undici';
    const own = compileFunction('return clock.now();', ['clock'], { filename });
    expect(own(performance)).toBeGreaterThan(0);
  });

  test('is given up before the next test, and the machine is as before', async () => {
    expect(performance.now()).toBeGreaterThan(0);
    expect(Date.now()).toBeGreaterThan(0);
    await expect(left).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  test('is given up also where it guards nothing, and goes on no more', async () => {
    const world = new World('given up');
    const run = world.until(() => false, Number.POSITIVE_INFINITY);
    const unguarded = forever(false);
    World.abandonAll();
    const outcomes = await Promise.allSettled([run, unguarded, world.run(1)]);
    for (const it of outcomes) {
      expect(it).toMatchObject({ status: 'rejected', reason: { code: 'CANCELLED' } });
    }
    expect(performance.now()).toBeGreaterThan(0);
  });
});

test('a seed that does not do the same twice is a failure, as is one that throws', async () => {
  let run = 0;
  const lines: string[] = [];
  const failures = await runSeeds({
    seeds: 3,
    checkShare: 0.5,
    print: (line) => lines.push(line),
    command: (seed) => `again ${seed}`,
    scenario: async (seed) => {
      if (seed === 2) throw new Error('violation');
      return { traceHash: seed === 3 ? String(run++) : 'same', simulatedMs: 1_000 };
    },
  });
  expect(failures.map((it) => it.seed)).toEqual([2, 3]);
  expect(lines.join('\n')).toContain('again 2');
});
