import fc from 'fast-check';
import type { Clock, VarlogError } from '../base/index.ts';
import { SimulatedDisk } from '../testing/simulator/disk.ts';
import { SeededRandom } from '../testing/simulator/random.ts';
import { type Frame, frameBytes } from './frame.ts';
import { Journal } from './journal.ts';
import { SegmentedLog } from './segmented-log.ts';
import { StateFile, type ValueFormat } from './state-file.ts';

const SEGMENT_BYTES = 200 * 1024;

/** Timers ring when the test says so. */
class ManualClock implements Clock {
  private rings = new Set<() => void>();
  now = () => 0;
  wall = () => 0;
  defer = (run: () => void) => void Promise.resolve().then(run);
  after(_ms: number, ring: () => void) {
    this.rings.add(ring);
    return { cancel: () => void this.rings.delete(ring) };
  }
  get isSet(): boolean {
    return this.rings.size > 0;
  }
  ring(): void {
    const { rings } = this;
    this.rings = new Set();
    for (const ring of rings) ring();
  }
}

function setup(seed = 1) {
  const disk = new SimulatedDisk({ random: new SeededRandom(seed) });
  const clock = new ManualClock();
  const failures: VarlogError[] = [];
  const news: string[] = [];
  const options = {
    disk,
    directory: 'log',
    label: 'a log',
    segmentBytes: SEGMENT_BYTES,
    tailCacheBytes: 0,
    clock,
    onFailure: (error: VarlogError) => failures.push(error),
    onFull: (error: VarlogError | undefined) => news.push(error?.code ?? 'room'),
  };
  return { disk, clock, failures, news, open: () => SegmentedLog.open(options) };
}

const frame = (position: number, bytes: number, fill = position): Frame => {
  return { position, count: 1, epoch: 1, payload: new Uint8Array(bytes).fill(fill) };
};

const used = (disk: SimulatedDisk): number => disk.files().reduce((sum, it) => sum + it.size, 0);

/** Lets everything happen that can happen without a timer. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

async function payloads(log: SegmentedLog): Promise<string[]> {
  const found: string[] = [];
  for (let next = log.first; next <= log.end; ) {
    for (const it of await log.read(next, 100_000)) {
      if (it.position >= next) found.push(`${it.position} ${it.payload.length} ${it.payload[0]}`);
      next = it.position + 1;
    }
  }
  return found;
}

describe('on a full disk', () => {
  test('a log says so while there is room for what it took, and goes on by itself', async () => {
    const { disk, clock, failures, news, open } = setup();
    const log = await open();
    log.append([frame(1, 100)]);
    await log.flush();
    disk.faults = { capacityBytes: used(disk) };
    let taken = 1;
    while (log.full === undefined) {
      log.append([frame(++taken, 5_000)]);
      await log.flush();
    }
    expect(log.full).toMatchObject({ code: 'DISK_FULL', outcome: 'notAppended', retryable: true });
    // Records that free something still fit.
    log.append([frame(++taken, 5_000)]);
    await log.flush();
    clock.ring();
    await settle();
    expect(log.full).toBeDefined();
    disk.faults = {};
    clock.ring();
    await settle();
    expect(log.full).toBeUndefined();
    expect([news, failures]).toEqual([['DISK_FULL', 'room'], []]);
    await log.close();
    const again = await open();
    expect(await payloads(again)).toHaveLength(taken);
    await again.close();
  });

  test('what was taken waits, reads and trims go on, and a trim makes room', async () => {
    const { disk, clock, failures, open } = setup();
    const log = await open();
    for (let i = 1; i <= 20; i++) {
      log.append([frame(i, 50_000)]);
      await log.flush();
    }
    disk.faults = { capacityBytes: used(disk) };
    log.append([frame(21, 100_000)]);
    const late = log.flush();
    await settle();
    expect([log.durableEnd, log.full?.code]).toEqual([20, 'DISK_FULL']);
    expect(log.pendingBytes).toBeGreaterThan(100_000);
    expect((await log.read(3, 1))[0]!.payload[0]).toBe(3);
    await log.trimHead(15);
    await late;
    expect([log.durableEnd, log.full, clock.isSet]).toEqual([21, undefined, true]);
    expect(failures).toEqual([]);
    await log.close();
  });

  test('frames that would take the last of the room wait: a trim needs some', async () => {
    const { disk, failures, open } = setup();
    const log = await open();
    log.append([frame(1, 150_000)]);
    await log.flush();
    log.append([frame(2, 90_000)]);
    await log.flush();
    const large = frame(3, 100_000);
    // Enough for it, and for nothing else.
    const prepared = 8 * 1024;
    disk.faults = { capacityBytes: used(disk) - prepared + frameBytes(large) };
    log.append([large]);
    await settle();
    expect([log.durableEnd, log.full?.code]).toEqual([2, 'DISK_FULL']);
    await log.trimHead(2);
    await log.flush();
    expect([log.first, log.durableEnd, log.full, failures]).toEqual([2, 3, undefined, []]);
    await log.close();
  });

  test('a trim that reaches into what waits makes room with what is on the disk', async () => {
    const { disk, failures, open } = setup();
    const log = await open();
    for (let i = 1; i <= 20; i++) {
      log.append([frame(i, 50_000)]);
      await log.flush();
    }
    disk.faults = { capacityBytes: used(disk) };
    log.append([frame(21, 100_000), frame(22, 100_000)]);
    await settle();
    expect([log.durableEnd, log.full?.code]).toEqual([20, 'DISK_FULL']);
    await log.trimHead(22);
    expect([log.first, log.durableEnd, log.full, failures]).toEqual([22, 22, undefined, []]);
    await log.close();
    const again = await open();
    expect(await payloads(again)).toEqual(['22 100000 22']);
    await again.close();
  });

  test('what is cut off does not wait for the room that what stays needs', async () => {
    const { disk, clock, failures, open } = setup();
    const log = await open();
    log.append([frame(1, 100)]);
    await log.flush();
    disk.faults = { capacityBytes: used(disk) };
    log.append([frame(2, 300_000), frame(3, 300_000)]);
    await settle();
    await log.truncateTail(2);
    expect([log.end, log.durableEnd, log.full?.code]).toEqual([2, 1, 'DISK_FULL']);
    log.append([frame(3, 10, 7)]);
    disk.faults = {};
    clock.ring();
    await log.flush();
    expect(await payloads(log)).toEqual(['1 100 1', '2 300000 2', '3 10 7']);
    expect(failures).toEqual([]);
    await log.close();
  });

  test('a log that waits for room can be closed, and everything settles', async () => {
    const { disk, clock, failures, open } = setup();
    const log = await open();
    disk.faults = { capacityBytes: used(disk) };
    log.append([frame(1, 300_000)]);
    await settle();
    const lost = log.flush().catch(() => 'cut off');
    const cut = log.truncateTail(0);
    log.append([frame(1, 300_000, 7)]);
    const second = log.flush();
    const ends = Promise.allSettled([lost, cut, second]);
    await settle();
    await log.close();
    expect((await ends).map((it) => it.status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    expect([clock.isSet, failures, disk.openFiles]).toEqual([false, [], 0]);
    disk.faults = {};
    const again = await open();
    expect(again.end).toBe(0);
    await again.close();
  });

  test('when a sync says so, it is a failure: what was written may be lost', async () => {
    const { disk, failures, open } = setup();
    const log = await open();
    log.append([frame(1, 100), frame(2, 100)]);
    await log.flush();
    disk.faults = { fail: ({ kind }) => (kind === 'sync' ? 'ENOSPC' : undefined) };
    await expect(log.truncateTail(1)).rejects.toMatchObject({ code: 'DISK_FAILED' });
    expect(failures).toHaveLength(1);
    await log.close();
  });

  type Step = { kind: 'append' | 'cut' | 'trim' | 'reset' | 'full' | 'room' | 'wait'; at: number };
  const step: fc.Arbitrary<Step> = fc.record({
    kind: fc.constantFrom<Step['kind']>(
      ...(['append', 'append', 'append', 'cut', 'trim', 'full', 'room', 'wait', 'reset'] as const),
    ),
    at: fc.double({ min: 0, max: 0.999, noNaN: true }),
  });

  test('whatever is done, nothing durable is lost, nothing cut comes back, and it goes on', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 5, maxLength: 40 }),
        fc.integer({ min: 1, max: 1e6 }),
        fc.boolean(),
        async (steps, seed, crash) => {
          const { disk, clock, failures, open } = setup(seed);
          let log = await open();
          let fill = 0;
          /** What must be there up to the durable end. */
          const model = new Map<number, number>();
          let durableCut = false;
          for (const { kind, at } of steps) {
            if (kind === 'append') {
              fill = (fill + 1) % 250;
              const bytes = [10, 3_000, 40_000, 90_000][Math.floor(at * 4)]!;
              model.set(log.end + 1, fill);
              log.append([frame(log.end + 1, bytes, fill)]);
            } else if (kind === 'cut') {
              const end = log.first - 1 + Math.floor(at * (log.end - log.first + 2));
              log.truncateTail(end).catch(() => {});
              for (const it of model.keys()) if (it > end) model.delete(it);
              durableCut = true;
            } else if (kind === 'trim') {
              log.trimHead(log.first + Math.floor(at * (log.end - log.first + 2))).catch(() => {});
            } else if (kind === 'reset') {
              log.reset(log.end + 2).catch(() => {});
              model.clear();
              durableCut = true;
            } else if (kind === 'full') disk.faults = { capacityBytes: used(disk) };
            else if (kind === 'room') disk.faults = {};
            else {
              clock.ring();
              await settle();
            }
          }
          expect(failures).toEqual([]);
          if (crash) {
            // Before a cut is durable, what it takes away may still be there.
            if (durableCut) await settle();
            const { durableEnd, first } = log;
            const stuck = log.full !== undefined;
            disk.faults = {};
            disk.crash('powerLoss');
            log = await open();
            if (!durableCut) expect(log.end).toBeGreaterThanOrEqual(durableEnd);
            if (!stuck && !durableCut) expect(log.first).toBeLessThanOrEqual(first);
            if (durableCut) return void (await log.close());
          } else {
            disk.faults = {};
            const done = log.flush();
            for (let i = 0; i < 3; i++) {
              await settle();
              clock.ring();
            }
            await done;
            expect([log.full, log.durableEnd]).toEqual([undefined, log.end]);
            await log.close();
            log = await open();
          }
          const expected = [...model].filter(([it]) => it >= log.first && it <= log.end);
          expect((await payloads(log)).map((it) => it.split(' ')[2])).toEqual(
            expected.map(([, it]) => String(it)),
          );
          await log.close();
        },
      ),
      { numRuns: 150 },
    );
  }, 60_000);

  test('whichever operation is refused, nothing is lost, nothing cut comes back, and it goes on', async () => {
    // No sync: what one leaves that failed is in doubt.
    const REFUSED = ['open', 'write', 'truncate', 'rename', 'remove', 'makeDirectory'];
    /** Refuses the operations from number `from` to `to`. */
    const play = async (from: number, to: number): Promise<boolean> => {
      const { disk, clock, failures, open } = setup();
      const expected = new Map<number, number>();
      let fill = 0;
      let log = await open();
      const begun = disk.operationCount;
      disk.faults = {
        fail: ({ kind }) => {
          const at = disk.operationCount - begun;
          const isRefused = at >= from && at <= to && REFUSED.includes(kind);
          return isRefused ? 'EMFILE' : undefined;
        },
      };
      const append = (bytes: number) => {
        expected.set(log.end + 1, ++fill);
        log.append([frame(log.end + 1, bytes, fill)]);
      };
      const cut = (end: number) => {
        for (const it of expected.keys()) if (it > end) expected.delete(it);
        const done = log.truncateTail(end);
        done.catch(() => {});
        return done;
      };
      const goOn = async () => {
        for (let i = 0; i < 8; i++) {
          await settle();
          clock.ring();
        }
      };
      append(10);
      await settle();
      append(150_000);
      await settle();
      // Does not fit into the first file any more, and is cut off before it is there.
      append(90_000);
      await settle();
      const cuts = [cut(2)];
      append(20);
      await settle();
      append(90_000);
      append(30);
      await settle();
      cuts.push(cut(3));
      append(40);
      await goOn();
      expect([failures, log.full, log.durableEnd]).toEqual([[], undefined, log.end]);
      await Promise.all(cuts);
      const isPast = from > disk.operationCount - begun;
      const fills = [...expected].map(([position, it]) => `${position} ${it}`);
      const held = async () => (await payloads(log)).map((it) => it.replace(/ \d+ /, ' '));
      expect(await held()).toEqual(fills);
      disk.crash('powerLoss');
      log = await open();
      expect(await held()).toEqual(fills);
      await log.close();
      expect(disk.openFiles).toBe(0);
      return isPast;
    };
    const found: string[] = [];
    for (let from = 1; ; from++) {
      let isPast = false;
      for (const many of [0, 2]) {
        isPast = await play(from, from + many).catch((error: Error) => {
          found.push(`${from} to ${from + many}: ${error.message}`);
          return false;
        });
      }
      if (isPast) break;
    }
    expect(found).toEqual([]);
  }, 60_000);

  test('a small value keeps the old one, and takes the next', async () => {
    const { disk } = setup();
    const asBytes: ValueFormat<Uint8Array> = { encode: (it) => it, decode: (it) => it };
    const file = await StateFile.open(disk, 'state', 'a value', asBytes);
    await file.write(new Uint8Array(100));
    disk.faults = { capacityBytes: used(disk) };
    const large = file.write(new Uint8Array(100_000));
    await expect(large).rejects.toMatchObject({ code: 'DISK_FULL', retryable: true });
    expect(disk.files().map((it) => it.path)).toEqual(['state']);
    disk.faults = {};
    await file.write(new Uint8Array(200));
    expect((await StateFile.open(disk, 'state', 'a value', asBytes)).value).toHaveLength(200);
  });

  test('the logs of a journal tell, and go on', async () => {
    const { disk, clock } = setup();
    const directory = 'journal';
    const journal = await Journal.open({ disk, directory, label: 'a journal', clock });
    const [a, b] = [await journal.open('a'), await journal.open('b')];
    disk.faults = { capacityBytes: used(disk) };
    a.append([frame(1, 300_000)]);
    await settle();
    expect([a.full?.code, b.full?.code]).toEqual(['DISK_FULL', 'DISK_FULL']);
    const state = b.write(new Uint8Array(10));
    disk.faults = {};
    clock.ring();
    await Promise.all([a.flushed(1), state]);
    expect([a.full, b.full]).toEqual([undefined, undefined]);
    await journal.close();
  });

  test('a journal that is closed tells those who wait for room', async () => {
    const { disk, clock } = setup();
    const directory = 'journal';
    const journal = await Journal.open({ disk, directory, label: 'a journal', clock });
    const failures: VarlogError[] = [];
    const log = await journal.open('a', (error) => failures.push(error));
    disk.faults = { capacityBytes: used(disk) };
    log.append([frame(1, 300_000)]);
    const lost = expect(log.flushed(1)).rejects.toMatchObject({ code: 'CLOSED' });
    await settle();
    await journal.close();
    await lost;
    expect(failures.map((it) => it.code)).toEqual(['CLOSED']);
  });
});
