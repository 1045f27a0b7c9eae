import {
  assert,
  checkNames,
  type Logger,
  type OptionNames,
  type Ports,
  type Timer,
  VarlogError,
} from '../../base/index.ts';
import { type ClockError, SimulatedClock } from './clock.ts';
import { type DiskFaults, SimulatedDisk } from './disk.ts';
import { abandonRuns, beginRun } from './host-guard.ts';
import { eachTurn } from './host-turn.ts';
import { SimulatedNetwork } from './network.ts';
import type { LinkQuality } from './network-links.ts';
import { ProcessLife } from './process-life.ts';
import { SeededRandom } from './random.ts';
import { Scheduler } from './scheduler.ts';
import { Trace } from './trace.ts';

/** What runs on a simulated machine. */
export interface Process {
  close(): Promise<void>;
}

export type StartProcess = (ports: Ports) => Promise<Process>;

export interface WorldOptions {
  links?: Partial<LinkQuality>;
  /** Clocks drift by up to this. Default 500. */
  driftPpmMax?: number;
  /** Faults that the disk of every machine has from the start. */
  diskFaults?: DiskFaults;
  traceLinesMax?: number;
  /** Whether the machine's own time and randomness throw while the world runs. Default true. */
  guard?: boolean;
}

const NAMES: OptionNames<WorldOptions> = {
  links: true,
  driftPpmMax: true,
  diskFaults: true,
  traceLinesMax: true,
  guard: true,
};

/** A machine: its disk and its wrong clock outlive the processes that run on it. */
class Machine {
  readonly name: string;
  readonly disk: SimulatedDisk;
  readonly clockError: ClockError;
  readonly start: StartProcess | undefined;
  life: { processLife: ProcessLife; ports: Ports; process: Process | undefined } | undefined;
  lives = 0;

  constructor(name: string, disk: SimulatedDisk, clockError: ClockError, start?: StartProcess) {
    this.name = name;
    this.disk = disk;
    this.clockError = clockError;
    this.start = start;
  }
}

/**
 * A cluster in one process, in virtual time, from a seed: the same seed gives the same run, event by
 * event. All that a process needs from outside comes from the ports that it is given.
 *
 * ```ts
 * const world = new World(42);
 * world.node('a', (ports) => startServer(ports, { listen: 'a:9092' }));
 * const { network } = world.ports('client');
 * const answer = await world.play(() => network.connect('a:9092').call(ask, 'hello'));
 * world.crash('a', { powerLoss: true });
 * world.restart('a');
 * await world.run(1_000); // a virtual second
 * ```
 */
export class World {
  readonly seed: string | number;
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly network: SimulatedNetwork;
  private readonly scheduler: Scheduler;
  private readonly options: WorldOptions;
  private readonly machines = new Map<string, Machine>();
  private failure: { error: unknown } | undefined;

  constructor(seed: string | number, options: WorldOptions = {}) {
    checkNames(options, NAMES, 'World');
    this.seed = seed;
    this.options = options;
    this.random = new SeededRandom(seed);
    this.trace = new Trace(options.traceLinesMax);
    this.scheduler = new Scheduler(this.random.stream('scheduler'));
    this.network = new SimulatedNetwork({
      scheduler: this.scheduler,
      random: this.random.stream('network'),
      trace: this.trace,
      ...(options.links && { quality: options.links }),
    });
  }

  /** Virtual milliseconds since the beginning. */
  get nowMs(): number {
    return this.scheduler.nowMs;
  }

  get eventCount(): number {
    return this.scheduler.eventCount;
  }

  /** The machines that have a process to start, in the order in which they were made. */
  get nodes(): string[] {
    return [...this.machines.values()].filter((it) => it.start).map((it) => it.name);
  }

  /** Adds a machine and starts a process on it. A start that fails is a failure of the run. */
  node(name: string, start: StartProcess): void {
    assert(!this.machines.has(name), `there is one machine ${name}`);
    this.addMachine(name, start);
    this.restart(name);
  }

  /** Ports of a machine without a process of its own: for the code of a test, which runs on it. */
  ports(name: string): Ports {
    const machine = this.machines.get(name) ?? this.addMachine(name);
    machine.life ??= this.newLife(machine);
    return machine.life.ports;
  }

  /** What the process on a machine is, once it has started. */
  process(name: string): Process | undefined {
    return this.machine(name).life?.process;
  }

  disk(name: string): SimulatedDisk {
    return this.machine(name).disk;
  }

  isRunning(name: string): boolean {
    return this.machine(name).life !== undefined;
  }

  /**
   * Ends a process at once. Nothing of it ever runs again. With `powerLoss` its machine loses what
   * was not synced, and its peers are not told.
   */
  crash(name: string, options: { powerLoss?: boolean } = {}): void {
    checkNames(options, { powerLoss: true }, 'crash');
    const { powerLoss = false } = options;
    const machine = this.machine(name);
    if (machine.life === undefined) return;
    this.note(`${powerLoss ? 'power loss' : 'crash'} ${name}`);
    machine.life.processLife.end();
    machine.life = undefined;
    machine.disk.crash(powerLoss ? 'powerLoss' : 'kill');
    this.network.leave(name, powerLoss);
  }

  /** Starts the process of a machine that has none, with the disk it left. */
  restart(name: string): void {
    const machine = this.machine(name);
    if (machine.life !== undefined || machine.start === undefined) return;
    this.note(`start ${name}`);
    const life = this.newLife(machine);
    machine.life = life;
    const { start } = machine;
    this.scheduler.after(0, () =>
      life.processLife.run(() => {
        start(life.ports).then(
          (process) => {
            if (!life.processLife.dead) life.process = process;
          },
          (error) => this.fail(error),
        );
      }),
    );
  }

  /** Closes a process as an operator would, and starts no other. To be used within {@link play}. */
  async stop(name: string): Promise<void> {
    await this.machine(name).life?.process?.close();
    this.crash(name);
  }

  /** Stops a process in its tracks, as a long garbage collection does. */
  pause(name: string): void {
    this.note(`pause ${name}`);
    this.machine(name).life?.processLife.pause();
  }

  resume(name: string): void {
    this.note(`resume ${name}`);
    this.machine(name).life?.processLife.resume();
  }

  /**
   * Cuts all links between machines of different groups, both ways or (`oneWay`) only from earlier
   * groups to later ones. Returns what lifts it. Machines in no group are not concerned.
   */
  partition(
    groups: readonly (readonly string[])[],
    options: { oneWay?: boolean | undefined } = {},
  ): () => void {
    checkNames(options, { oneWay: true }, 'partition');
    const { oneWay = false } = options;
    this.note(`partition ${groups.map((it) => it.join(',')).join(oneWay ? ' > ' : ' | ')}`);
    const lifts: (() => void)[] = [];
    groups.forEach((group, i) => {
      for (const from of group) {
        for (const to of groups.slice(i + 1).flat()) {
          lifts.push(this.network.links.block(from, to));
          if (!oneWay) lifts.push(this.network.links.block(to, from));
        }
      }
    });
    return () => {
      for (const lift of lifts) lift();
    };
  }

  /** Lifts all partitions. */
  heal(): void {
    this.note('heal');
    this.network.links.heal();
  }

  /** Makes a machine's wall clock jump. */
  jumpWallClock(name: string, byMs: number): void {
    this.note(`wall clock of ${name} jumps by ${byMs} ms`);
    this.machine(name).clockError.wallAheadMs += byMs;
  }

  /** Runs something of the test's own in `ms` virtual milliseconds. */
  after(ms: number, run: () => void): Timer {
    return this.scheduler.after(ms, run);
  }

  /** Writes a line to the trace. It counts for the hash. */
  note(line: string): void {
    this.trace.note(this.nowMs, line);
  }

  /** Makes the run fail: for invariants that a test checks in a callback. */
  fail(error: unknown): void {
    this.failure ??= { error };
  }

  /** Lets time pass until the process of every node that is up has started. */
  async started(maxMs = 60_000): Promise<void> {
    const lives = (): Machine['life'][] =>
      [...this.machines.values()].filter((it) => it.start).map((it) => it.life);
    await this.until(
      () => lives().every((it) => it === undefined || it.process !== undefined),
      maxMs,
    );
  }

  /** Lets so many virtual milliseconds pass. */
  async run(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    await this.advance(endMs, () => false);
    this.scheduler.nowMs = endMs;
  }

  /** Lets time pass until something is so. Throws `TIMEOUT` when it is not within `maxMs`. */
  async until(predicate: () => boolean, maxMs = 60_000): Promise<void> {
    if (await this.advance(this.nowMs + maxMs, predicate)) return;
    throw this.stuck(`it was not so within ${maxMs} virtual ms`);
  }

  /** Runs code of the test while time passes, until it has ended. `TIMEOUT` as {@link until}. */
  async play<T>(scene: () => Promise<T>, maxMs = 600_000): Promise<T> {
    let outcome: { value: T } | { error: unknown } | undefined;
    const begin = (): void => {
      scene().then(
        (value) => {
          outcome = { value };
        },
        (error) => {
          outcome = { error };
        },
      );
    };
    this.scheduler.after(0, begin);
    await this.until(() => outcome !== undefined, maxMs);
    if ('error' in outcome!) throw outcome.error;
    return (outcome as unknown as { value: T }).value;
  }

  /** Ends all processes at once. */
  close(): void {
    for (const { name } of this.machines.values()) this.crash(name);
  }

  /**
   * Gives up every world that still runs in this process: `run`, `until` and `play` reject with `CANCELLED`. A test that
   * took too long leaves its world running, with the machine's time and randomness guarded, and so the tests after it
   * fail too: call it after each test, in the set-up file of the test runner.
   *
   * ```ts
   * afterEach(() => World.abandonAll());
   * ```
   */
  static abandonAll(): void {
    abandonRuns();
  }

  private async advance(endMs: number, done: () => boolean): Promise<boolean> {
    this.goesOn();
    const release = beginRun({
      guarded: this.options.guard !== false,
      abandoned: (error) => {
        this.failure = { error };
      },
    });
    try {
      let isDone = false;
      await eachTurn(() => {
        this.goesOn();
        isDone = done();
        if (isDone || this.scheduler.nextMs() > endMs) return false;
        this.scheduler.step();
        return true;
      });
      return isDone;
    } finally {
      release();
    }
  }

  private goesOn(): void {
    if (this.failure !== undefined) throw this.failure.error;
  }

  private addMachine(name: string, start?: StartProcess): Machine {
    const random = this.random.stream(`machine ${name}`);
    const driftPpmMax = this.options.driftPpmMax ?? 500;
    const driftPpm = (random.fraction() * 2 - 1) * driftPpmMax;
    const clockError = { driftPpm, wallAheadMs: random.below(2_000) - 1_000 };
    // The disk calls back whichever process runs when a call is made.
    const diskClock = {
      now: () => this.nowMs,
      wall: () => this.nowMs,
      after: (ms: number, ring: () => void): Timer => {
        const life = this.machines.get(name)?.life;
        // While no process runs, it is the test that looks at the disk.
        return this.scheduler.after(ms, () => {
          if (life === undefined) ring();
          else life.processLife.run(ring);
        });
      },
      defer: (run: () => void): void => void this.scheduler.after(0, run),
    };
    const disk = new SimulatedDisk({
      clock: diskClock,
      random: random.stream('disk'),
      ...(this.options.diskFaults && { faults: this.options.diskFaults }),
    });
    disk.onOperation = ({ kind, path }) => this.note(`${name} ${kind} ${path}`);
    const machine = new Machine(name, disk, clockError, start);
    this.machines.set(name, machine);
    return machine;
  }

  private newLife(machine: Machine): NonNullable<Machine['life']> {
    const { name, disk, clockError } = machine;
    const processLife = new ProcessLife(name, this.scheduler);
    const clock = new SimulatedClock(this.scheduler, processLife, clockError);
    const logger: Logger = {
      log: (level, event, fields) => {
        if (level === 'debug') this.note(`${name} ${event}`);
        else this.note(`${name} ${level} ${event} ${fields === undefined ? '' : readable(fields)}`);
      },
    };
    const ports: Ports = {
      clock,
      random: this.random.stream(`process ${name} ${++machine.lives}`),
      disk: disk.mount(),
      network: this.network.join(processLife, clock),
      logger,
    };
    return { processLife, ports, process: undefined };
  }

  private machine(name: string): Machine {
    const found = this.machines.get(name);
    if (found !== undefined) return found;
    throw new VarlogError('NOT_FOUND', { what: `there is no machine ${name} in this world` });
  }

  private stuck(what: string): VarlogError {
    const last = this.trace.last(10).join('\n  ');
    return new VarlogError('TIMEOUT', {
      what: `${what}, with seed ${this.seed}`,
      because: `the last that happened was\n  ${last}\n`,
    });
  }
}

function readable(fields: object): string {
  try {
    return JSON.stringify(fields, (key, value: unknown) => {
      if (key === 'stack') return undefined;
      return value instanceof Error ? value.message : value;
    });
  } catch {
    return '(unprintable)';
  }
}
