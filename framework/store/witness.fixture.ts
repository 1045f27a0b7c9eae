import type { Disk, Random } from '../base/index.ts';
import { crc32c } from './crc32c.ts';
import type { Frame } from './frame.ts';
import { SegmentedLog } from './segmented-log.ts';

/** Marsaglia's xorshift32: enough for choices in a test. */
export function seeded(seed: number): Random {
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

/** A log with small files and little memory. */
export const openLog = (disk: Disk, directory = 'd/log', segmentBytes = 5000) =>
  SegmentedLog.open({
    disk,
    directory,
    label: 'a log',
    segmentBytes,
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

export interface State {
  readonly first: number;
  readonly frames: readonly Frame[];
}

/**
 * Drives a log and keeps all states that a crash may bring back: those since the last cut, trim or
 * reset that was reported durable.
 */
export class Witness {
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
