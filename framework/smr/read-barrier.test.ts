import { type OrderedLog, VarlogError } from '../base/index.ts';
import { realClock } from '../runtime/clock.ts';
import { Deadlines } from './deadlines.ts';
import { ReadBarrier } from './read-barrier.ts';
import type { LogAvailability } from './replica-status.ts';

const clock = realClock();

/** A log whose tail is what the test answers, and a barrier on it. */
class Bench {
  /** How to answer the calls that wait, the oldest first. */
  readonly asked: { resolve(tail: number): void; reject(error: unknown): void }[] = [];
  private readonly deadlines = new Deadlines(clock, 60_000);
  readonly barrier: ReadBarrier;

  constructor() {
    const tail = () =>
      new Promise<number>((resolve, reject) => this.asked.push({ resolve, reject }));
    const log = { tail } as unknown as OrderedLog;
    const availability: LogAvailability = { reachable: () => {}, unreachable: () => {} };
    this.barrier = new ReadBarrier(log, clock, this.deadlines, availability, () => {});
  }

  /** The next call of `tail`, once it is made. */
  async call(): Promise<Bench['asked'][number]> {
    while (this.asked.length === 0)
      await new Promise((resolve) => clock.after(1, () => resolve(0)));
    return this.asked.shift()!;
  }

  close(): void {
    this.barrier.stop(new Error('over'));
    this.deadlines.stop();
  }
}

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => bench.close());

test('those who come together share one question, and wait for what the log said', async () => {
  const settled: number[] = [];
  const all = [1, 2, 3].map((it) => bench.barrier.latest({}).then(() => settled.push(it)));
  (await bench.call()).resolve(5);
  bench.barrier.advance(4);
  await new Promise((resolve) => clock.defer(() => resolve(0)));
  expect(settled).toEqual([]);
  bench.barrier.advance(5);
  await Promise.all(all);
  expect(settled).toEqual([1, 2, 3]);
  expect(bench.asked).toEqual([]);
});

test('whoever comes while the log is asked waits for the next answer', async () => {
  bench.barrier.advance(9);
  const early = bench.barrier.latest({});
  const first = await bench.call();
  let isLate = true;
  const late = bench.barrier.latest({}).then(() => {
    isLate = false;
  });
  first.resolve(9);
  await early;
  const second = await bench.call();
  expect(isLate).toBe(true);
  second.resolve(9);
  await late;
});

test('after a failure that may pass the log is asked again, for those who still wait', async () => {
  bench.barrier.advance(9);
  const patient = bench.barrier.latest({});
  const ending = new AbortController();
  const gone = bench.barrier.latest({ signal: ending.signal });
  const late = (await bench.call()).reject;
  const between = bench.barrier.latest({});
  late(new VarlogError('UNAVAILABLE', { what: 'no quorum' }));
  ending.abort(new Error('no more'));
  await expect(gone).rejects.toThrow('no more');
  (await bench.call()).resolve(7);
  await Promise.all([patient, between]);
  expect(bench.asked).toEqual([]);
});

test('a failure that stays rejects those whom it concerns, and not whoever came after', async () => {
  const early = bench.barrier.latest({});
  const call = await bench.call();
  const late = bench.barrier.latest({});
  call.reject(new VarlogError('NOT_FOUND', { what: 'no such topic' }));
  await expect(early).rejects.toMatchObject({ code: 'NOT_FOUND' });
  (await bench.call()).resolve(0);
  await late;
});

test('a barrier that was stopped asks nothing', async () => {
  bench.barrier.stop(new Error('closed'));
  await expect(bench.barrier.latest({})).rejects.toThrow('closed');
  await new Promise((resolve) => clock.after(1, () => resolve(0)));
  expect(bench.asked).toEqual([]);
});

test('within a bound the log is asked only where its last answer is older than that', async () => {
  bench.barrier.advance(5);
  const first = bench.barrier.within(60_000, {});
  (await bench.call()).resolve(5);
  await first;
  await bench.barrier.within(60_000, {});
  expect(bench.asked).toEqual([]);
  const now = bench.barrier.within(0, {});
  (await bench.call()).resolve(5);
  await now;
});

test('an answer of the log counts from the question on, and only once all of it is applied', async () => {
  const behind = bench.barrier.latest({});
  (await bench.call()).resolve(5);
  bench.barrier.advance(4);
  let isFresh = false;
  const fresh = bench.barrier.within(60_000, {}).then(() => {
    isFresh = true;
  });
  await new Promise((resolve) => clock.after(1, () => resolve(0)));
  expect(isFresh).toBe(false);
  bench.barrier.advance(5);
  await behind;
  (await bench.call()).resolve(5);
  await fresh;
  // The position of somebody else's says nothing of what is newer.
  const next = bench.barrier.reached(6, {});
  bench.barrier.advance(6);
  await next;
  await bench.barrier.within(60_000, {});
});

test('who cannot be shown in time that the state is fresh enough is told so, and what a limit is', async () => {
  await expect(bench.barrier.within(5, { timeoutMs: 10 })).rejects.toMatchObject({
    code: 'TIMEOUT',
    message: expect.stringContaining('fresh enough'),
  });
  await expect(bench.barrier.reached(7, { timeoutMs: 10 })).rejects.toMatchObject({
    code: 'TIMEOUT',
    details: { position: 7, applied: 0 },
  });
  for (const wrong of [-1, Number.NaN]) {
    const refused = { code: 'INVALID_ARGUMENT' };
    await expect(bench.barrier.within(wrong, {})).rejects.toMatchObject(refused);
    await expect(bench.barrier.reached(wrong, {})).rejects.toMatchObject(refused);
  }
});
