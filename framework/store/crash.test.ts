import type { Random } from '../base/index.ts';
import { type DiskFaults, SimulatedDisk } from '../testing/simulator/disk.ts';
import { crc32c } from './crc32c.ts';
import { firstFailure } from './first-failure.fixture.ts';
import type { Frame } from './frame.ts';
import { SegmentedLog } from './segmented-log.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 300);

/** Marsaglia's xorshift32: enough for choices in a test. */
function seeded(seed: number): Random {
  let x = (seed + 1) * 2654435761;
  const next = (): number => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
  for (let i = 0; i < 5; i++) next();
  return { below: (n) => next() % n, fraction: () => next() / 2 ** 32, id: () => String(next()) };
}

const open = (disk: SimulatedDisk) =>
  SegmentedLog.open({
    disk,
    directory: 'd/log',
    label: 'a log',
    segmentBytes: 5000,
    tailCacheBytes: 1_200,
  });

const print = (it: Frame) => `${it.position}+${it.count} ${it.epoch} ${crc32c(it.payload)}`;

async function readAll(log: SegmentedLog): Promise<Frame[]> {
  const found: Frame[] = [];
  for (let next = log.first; next <= log.end; ) {
    const step = await log.read(next, 2000);
    found.push(...step);
    next = step.at(-1)!.position + step.at(-1)!.count;
  }
  return found;
}

interface State {
  readonly first: number;
  readonly frames: readonly Frame[];
}

/**
 * Drives a log and keeps all states that a crash may bring back: those since the last cut, trim or
 * reset that was reported durable.
 */
class Witness {
  log: SegmentedLog;
  private possible: State[];
  private serial = 0;
  private readonly random: Random;

  constructor(log: SegmentedLog, state: State, random: Random) {
    this.log = log;
    this.possible = [state];
    this.random = random;
    this.serial = random.below(1e9);
  }

  get now(): State {
    return this.possible.at(-1)!;
  }

  append(count: number, sync: boolean): void {
    const added: Frame[] = [];
    let position = this.log.end + 1;
    for (let i = 0; i < count; i++) {
      const bytes = [0, 10, 300, 1500][this.random.below(4)]!;
      const payload = Uint8Array.from({ length: bytes }, () => this.random.below(256));
      const frame = { position, count: 1 + this.random.below(3), epoch: this.serial++, payload };
      position += frame.count;
      added.push(frame);
    }
    this.log.append(added, { sync });
    this.possible.push({ ...this.now, frames: [...this.now.frames, ...added] });
  }

  cut(): Promise<void> {
    const { first, frames } = this.now;
    if (frames.length < 2) return Promise.resolve();
    const kept = frames.slice(0, 1 + this.random.below(frames.length));
    const last = kept.at(-1)!;
    return this.until(
      { first, frames: kept },
      this.log.truncateTail(last.position + last.count - 1),
    );
  }

  trim(): Promise<void> {
    const { first, frames } = this.now;
    const to = first + this.random.below(this.log.end + 2 - first);
    const kept = frames.filter((it) => it.position + it.count > to);
    return this.until({ first: to, frames: kept }, this.log.trimHead(to));
  }

  reset(): Promise<void> {
    const first = 1 + this.random.below(100);
    return this.until({ first, frames: [] }, this.log.reset(first));
  }

  /** Any amount of work; stops where the disk does. */
  async work(steps: number): Promise<void> {
    for (let i = 0; i < steps; i++) {
      const dice = this.random.below(20);
      let done: Promise<void> | undefined;
      if (dice < 10) this.append(1 + this.random.below(6), dice < 7);
      else if (dice < 13) done = this.log.flush();
      else if (dice < 16) done = this.cut();
      else if (dice < 18) done = this.trim();
      else if (dice === 18) done = this.reset();
      done?.catch(() => {});
      if (this.random.below(3) > 0) await done?.catch(() => {});
    }
    await this.log.flush().catch(() => {});
  }

  /** Throws unless the log that was recovered is one that may come back. */
  async check(recovered: SegmentedLog): Promise<State> {
    const found = await readAll(recovered);
    const { durableEnd } = this.log;
    if (recovered.end < durableEnd && recovered.first <= durableEnd) {
      throw new Error(`${durableEnd} was reported durable, the log ends at ${recovered.end}`);
    }
    const texts = found.map(print);
    const match = this.possible.some(({ first, frames }) => {
      if (recovered.first !== first) return false;
      return texts.every((it, i) => frames[i] !== undefined && print(frames[i]) === it);
    });
    if (!match) throw new Error(`a log from ${recovered.first} to ${recovered.end} never was`);
    return { first: recovered.first, frames: found };
  }

  private async until(state: State, done: Promise<void>): Promise<void> {
    this.possible.push(state);
    const { now } = this;
    await done;
    this.possible = this.possible.slice(this.possible.indexOf(now));
  }
}

/** Works, crashes, recovers and checks, again and again on one disk. */
async function liveAndDie(seed: number, faults: DiskFaults = {}): Promise<void> {
  const random = seeded(seed);
  const disk = new SimulatedDisk({ random, faults });
  let state: State = { first: 1, frames: [] };
  let witness: Witness | undefined;
  for (let life = 0; life < 5; life++) {
    const halted = disk.haltAt(disk.operationCount + 1 + random.below(60));
    const living = (async () => {
      const log = await open(disk);
      // Whoever opened a log may act on what is in it.
      state = witness === undefined ? state : await witness.check(log);
      witness = new Witness(log, state, random);
      await witness.work(30);
    })();
    await Promise.race([halted, living]);
    disk.crash(random.below(3) === 0 ? 'kill' : 'powerLoss');
  }
  const log = await open(disk);
  await witness?.check(log);
}

describe('after a crash', () => {
  test('what was reported durable is there, and nothing that never was', async () => {
    expect(await firstFailure(SEEDS, liveAndDie)).toBeUndefined();
  }, 120_000);

  test('the same at every single point of a workload', async () => {
    const run = async (halt: number, seed: number) => {
      const random = seeded(seed);
      const disk = new SimulatedDisk({ random });
      const halted = disk.haltAt(halt);
      let witness: Witness | undefined;
      const living = (async () => {
        witness = new Witness(await open(disk), { first: 1, frames: [] }, random);
        await witness.work(40);
        return true;
      })();
      const ended = await Promise.race([halted.then(() => false), living]);
      return { disk, witness, ended };
    };
    for (let halt = 1; ; halt++) {
      const { disk, witness, ended } = await run(halt, 7);
      for (let fate = 0; fate < 6; fate++) {
        const after = disk.clone(seeded(fate * 1000 + halt));
        after.crash(fate === 0 ? 'kill' : 'powerLoss');
        const log = await open(after);
        if (witness === undefined) expect(log.end).toBe(0);
        else await witness.check(log);
      }
      if (ended) break;
      expect(halt).toBeLessThan(2000);
    }
  }, 120_000);

  test.each<DiskFaults>([{ lies: new Set(['sync']) }, { lies: new Set(['syncDirectory']) }])(
    'a disk that lies is found out (%p)',
    async (faults) => {
      expect(await firstFailure(200, (seed) => liveAndDie(seed, faults))).toBeDefined();
    },
  );
});
