import type { Random } from '../base/index.ts';
import { SeededRandom } from '../testing/index.ts';
import { type DiskFaults, SimulatedDisk } from '../testing/simulator/disk.ts';
import { firstFailure } from './first-failure.fixture.ts';
import type { Frame } from './frame.ts';
import { Journal } from './journal.ts';
import type { JournalLog } from './journal-log.ts';
import { SegmentedLog } from './segmented-log.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 200);

const LABELS = ['a', 'b', 'c'];

const open = (disk: SimulatedDisk) =>
  Journal.open({
    disk: disk.mount(),
    directory: 'journal',
    label: 'a journal',
    segmentBytes: 5_000,
    tailCacheBytes: 2_200,
  });

interface LogState {
  readonly first: number;
  readonly frames: readonly Frame[];
  readonly value: string;
}
type State = Readonly<Record<string, LogState>>;

const EMPTY: LogState = { first: 1, frames: [], value: '' };
const textOf = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();
const print = (state: LogState): string => {
  const frames = state.frames.map(
    (it) => `${it.position}+${it.count}@${it.epoch}${textOf(it.payload)}`,
  );
  return `${state.first} ${state.value} ${frames.join(' ')}`;
};

async function readAll(log: JournalLog): Promise<LogState> {
  const frames: Frame[] = [];
  for (let next = log.first; next <= log.end; ) {
    const step = await log.read(next, 2_000);
    frames.push(...step);
    next = step.at(-1)!.position + step.at(-1)!.count;
  }
  return { first: log.first, frames, value: textOf(log.value) };
}

/** Drives the logs of a journal, and knows all states that a crash may bring back. */
class Witness {
  readonly journal: Journal;
  readonly logs = new Map<string, JournalLog>();
  private readonly random: Random;
  private states: State[];
  private serial: number;

  constructor(journal: Journal, state: State, random: Random) {
    this.journal = journal;
    this.states = [state];
    this.random = random;
    this.serial = random.below(1e9);
  }

  async work(steps: number): Promise<void> {
    for (const label of LABELS) {
      this.logs.set(label, await this.journal.open(label));
      void this.enter(label, this.now(label)).catch(() => {});
    }
    for (let i = 0; i < steps; i++) {
      // The others are written rarely, and stay behind.
      const at = [0, 1, 2][this.random.below(40)] ?? 0;
      const done = this.change(LABELS[at]!);
      done.catch(() => {});
      if (this.random.below(3) === 0) await done;
    }
    await this.journal.flushed();
  }

  /** Throws unless the state that was recovered is one that may come back. */
  async check(recovered: Journal): Promise<State> {
    const found: Record<string, LogState> = {};
    for (const label of LABELS) {
      const log = await recovered.open(label);
      found[label] = await readAll(log);
      await log.close();
    }
    const same = (it: State) => LABELS.every((id) => print(it[id] ?? EMPTY) === print(found[id]!));
    if (!this.states.some(same)) {
      throw new Error(`never was: ${LABELS.map((id) => print(found[id]!)).join('\n')}`);
    }
    return found;
  }

  private now(label: string): LogState {
    return this.states.at(-1)![label] ?? EMPTY;
  }

  /** One journal: all that happened before something durable is durable too. */
  private enter(
    label: string,
    state: LogState,
    durable = () => this.journal.flushed(),
  ): Promise<void> {
    const all = { ...this.states.at(-1)!, [label]: state };
    this.states.push(all);
    return durable().then(() => {
      const at = this.states.indexOf(all);
      if (at > 0) this.states = this.states.slice(at);
    });
  }

  private change(label: string): Promise<void> {
    const { random } = this;
    const log = this.logs.get(label)!;
    const state = this.now(label);
    const { first, frames } = state;
    const dice = random.below(label === 'a' ? 40 : 60);
    if (dice < 26 || dice >= 40) return this.append(label, log, state);
    if (dice < 30 && frames.length > 1) {
      const kept = frames.slice(0, 1 + random.below(frames.length));
      const end = kept.at(-1)!.position + kept.at(-1)!.count - 1;
      void log.truncateTail(end).catch(() => {});
      return this.enter(label, { ...state, frames: kept });
    }
    if (dice < 36) {
      const to = first + random.below(log.end + 2 - first);
      void log.trimHead(to).catch(() => {});
      const kept = frames.filter((it) => it.position + it.count > to);
      return this.enter(label, { ...state, first: to, frames: kept });
    }
    if (dice < 39) {
      const value = `v${this.serial++}`;
      void log.write(Buffer.from(value)).catch(() => {});
      return this.enter(label, { ...state, value });
    }
    const to = 1 + random.below(100);
    void log.reset(to).catch(() => {});
    return this.enter(label, { ...state, first: to, frames: [] });
  }

  private append(label: string, log: JournalLog, state: LogState): Promise<void> {
    const added: Frame[] = [];
    let position = log.end + 1;
    // One at a time: of several, a crash may keep some.
    for (let i = this.random.below(4); i >= 0; i--) {
      const payload = Buffer.from('x'.repeat([0, 10, 300, 900][this.random.below(4)]!));
      const frame = { position, count: 1 + this.random.below(3), epoch: this.serial++, payload };
      position += frame.count;
      log.append([frame]);
      added.push(frame);
      const end = position - 1;
      const next = { ...state, frames: [...state.frames, ...added] };
      void this.enter(label, next, () => log.flushed(end)).catch(() => {});
    }
    return log.flushed(position - 1);
  }
}

/** Works, crashes, recovers and checks, again and again on one disk. */
async function liveAndDie(seed: number, faults: DiskFaults = {}): Promise<void> {
  const random = new SeededRandom(seed);
  const disk = new SimulatedDisk({ random, faults });
  let state: State = {};
  let witness: Witness | undefined;
  for (let life = 0; life < 6; life++) {
    const halted = disk.haltAt(disk.operationCount + 1 + random.below(600));
    const living = (async () => {
      const journal = await open(disk);
      state = witness === undefined ? state : await witness.check(journal);
      witness = new Witness(journal, state, random);
      await witness.work(250);
    })();
    await Promise.race([halted, living]);
    disk.crash(random.below(3) === 0 ? 'kill' : 'powerLoss');
  }
  await witness?.check(await open(disk));
}

describe('logs that share a journal', () => {
  test('come back after a crash as they were at one moment, at or after what was reported durable', async () => {
    expect(await firstFailure(SEEDS, liveAndDie)).toBeUndefined();
  }, 120_000);

  test('a disk that lies is found out', async () => {
    expect(
      await firstFailure(100, (seed) => liveAndDie(seed, { lies: new Set(['sync']) })),
    ).toBeDefined();
  }, 60_000);

  test('share their syncs', async () => {
    const disk = new SimulatedDisk({ random: new SeededRandom(1) });
    const journal = await open(disk);
    const logs = await Promise.all(LABELS.map((it) => journal.open(it)));
    await journal.flushed();
    const before = disk.operationCount;
    for (const log of logs)
      log.append([{ position: 1, count: 1, epoch: 1, payload: Buffer.from('x') }]);
    await Promise.all(logs.map((it) => it.flushed(1)));
    // One write and one sync.
    expect(disk.operationCount - before).toBe(2);
    expect(logs.map((it) => it.durableEnd)).toEqual([1, 1, 1]);
  });

  test('give old files back, also those that a quiet log is in', async () => {
    const disk = new SimulatedDisk({ random: new SeededRandom(1) });
    const journal = await open(disk);
    const [busy, quiet] = [await journal.open('busy'), await journal.open('quiet')];
    const payload = Buffer.alloc(500, 7);
    quiet.append([{ position: 1, count: 1, epoch: 1, payload }]);
    await quiet.write(Buffer.from('kept'));
    for (let position = 1; position <= 400; position++) {
      busy.append([{ position, count: 1, epoch: 1, payload }]);
      await busy.trimHead(Math.max(1, position - 3));
    }
    expect(journal.bytes).toBeLessThan(25_000);
    await journal.close();
    const again = await open(disk);
    expect(await readAll(await again.open('quiet'))).toMatchObject({
      first: 1,
      value: 'kept',
      frames: [{ payload }],
    });
    expect(await readAll(await again.open('busy'))).toMatchObject({ first: 397 });
  });

  test('one whose records are not all there is missed when the journal is opened', async () => {
    const disk = new SimulatedDisk({ random: new SeededRandom(1) });
    const journal = await open(disk);
    const log = await journal.open('a');
    const payload = Buffer.from('x');
    log.append([1, 2, 3].map((position) => ({ position, count: 1, epoch: 1, payload })));
    await log.write(Buffer.from('kept'));
    await journal.close();
    const shared = { disk, directory: 'journal', label: 'a journal', segmentBytes: 5_000 };
    const records = await SegmentedLog.open(shared);
    await records.trimHead(records.end);
    await records.close();
    await expect(open(disk)).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringContaining('records of a are missing'),
    });
  });

  test('a log is open once', async () => {
    const journal = await open(new SimulatedDisk({ random: new SeededRandom(1) }));
    const log = await journal.open('a');
    await expect(journal.open('a')).rejects.toMatchObject({ code: 'DIRECTORY_IN_USE' });
    await log.close();
    await journal.open('a');
  });
});
