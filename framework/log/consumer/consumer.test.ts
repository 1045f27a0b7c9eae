import { sleep, VarlogError } from '../../base/index.ts';
import { json, record } from '../client/index.ts';
import { ConsumerSetup, clock, often, range, until } from './consumer.fixture.ts';

const setup = new ConsumerSetup();
const { start } = setup;

const positionOf = async (name = 'billing'): Promise<number | undefined> =>
  (await setup.log.consumers.list()).find((it) => it.name === name)?.position;

/** A gate that a handler waits at. */
function gate() {
  const opened = new Map<string, () => void>();
  const waiting = new Set<string>();
  return {
    waiting,
    pass: (text: string) =>
      new Promise<void>((resolve) => {
        waiting.add(text);
        opened.set(text, resolve);
      }),
    open: (text: string) => {
      waiting.delete(text);
      opened.get(text)!();
    },
  };
}

test.each([
  [{ name: '' }, /name is ""/],
  [{ name: 'x'.repeat(201) }, /name is/],
  [{ name: 5 }, /name is 5/],
  [{ name: 'a', onError: 'panic' }, /onError is the text "panic"/],
  [{ name: 'a', orderBy: 'value' }, /orderBy is value/],
  [{ name: 'a', concurrency: 0 }, /concurrency is 0/],
  [{ name: 'a', attempts: 1.5 }, /attempts is 1.5/],
  [{ name: 'a', maxInFlight: Number.NaN }, /maxInFlight is NaN/],
  [{ name: 'a', maxInFlightBytes: -1 }, /maxInFlightBytes is -1/],
  [{ name: 'a', checkpointEveryMs: '5' }, /checkpointEveryMs is the text "5"/],
  [{ name: 'a', checkpoint: {} }, /checkpoint has no open/],
  [{ name: 'a', from: {} }, /from is an object/],
  [{ name: 'a', from: { time: 'noon' } }, /from.time is noon/],
  [{ name: 'a', from: 'varlog:other:1:5' }, /CLUSTER_MISMATCH/],
  [{ name: 'a', from: 'middle' }, /from is middle/],
  [{ name: 'a', from: 0 }, /from is 0/],
])('%j is refused', (options, message) => {
  expect(() => setup.records.process(options as never, () => {})).toThrow(message);
  expect(() => setup.records.process({ name: 'a' }, undefined as never)).toThrow(
    /handler is missing/,
  );
});

test('records of a key are in order, those of others beside them, and no more at a time than may', async () => {
  const keys = ['a', 'b', 'c'];
  await setup.records.append(range(60).map((it) => record(it, { key: keys[Number(it) % 3]! })));
  const given = new Map<string, number[]>();
  const busy = new Set<string>();
  let most = 0;
  const consumer = start({ name: 'billing', concurrency: 2, orderBy: 'key' }, async (entry) => {
    const key = entry.key!;
    expect(busy.has(key)).toBe(false);
    busy.add(key);
    most = Math.max(most, busy.size);
    await sleep(clock, entry.glsn % 3);
    given.set(key, [...(given.get(key) ?? []), entry.glsn]);
    busy.delete(key);
  });
  await consumer.caughtUp();
  expect(most).toBe(2);
  for (const it of given.values()) expect(it).toEqual([...it].sort((a, b) => a - b));
  expect([...given.values()].flat()).toHaveLength(60);
});

test('the checkpoint waits for the oldest record that is not done, and no more are taken than may', async () => {
  await setup.records.append(range(20));
  const { pass, open, waiting } = gate();
  const options = { name: 'billing', concurrency: 3, maxInFlight: 6, ...often };
  const consumer = start(options, (entry) => pass(entry.text()));
  await until(() => waiting.size === 3);
  open('2');
  open('3');
  await until(() => waiting.has('4') && waiting.has('5'));
  expect(consumer.status).toMatchObject({ state: 'running', position: 0, inFlight: 4, tail: 20 });
  open('4');
  open('5');
  await until(() => waiting.has('6') && waiting.size === 2);
  open('6');
  // Six records are from the oldest one on: the seventh has to wait.
  await until(() => waiting.size === 1);
  await sleep(clock, 20);
  expect([...waiting]).toEqual(['1']);
  expect(await positionOf()).toBe(0);
  open('1');
  await until(async () => (await positionOf()) === 6);
  await until(() => waiting.has('7'));
});

test('a record is tried again until it is done, and says so meanwhile', async () => {
  await setup.records.append(['a', 'b']);
  const attempts: string[] = [];
  const consumer = start({ name: 'billing' }, (entry, { attempt }) => {
    attempts.push(`${entry.text()}${attempt}`);
    if (entry.text() === 'a' && attempt < 3) throw new Error('not now');
  });
  await until(() => consumer.status.retrying !== undefined);
  expect(consumer.health()).toEqual({ ok: false, reason: expect.stringContaining('not now') });
  await consumer.caughtUp();
  expect(attempts).toEqual(['a1', 'a2', 'a3', 'b1']);
  expect(consumer.health()).toEqual({ ok: true });
});

test('a consumer that stopped begins with the record that failed', async () => {
  await setup.records.append(range(5));
  const given: string[] = [];
  const options = { name: 'billing', attempts: 2 };
  let isBroken = true;
  const handler = (entry: { text(): string }) => {
    if (entry.text() === '3' && isBroken) throw new RangeError('no three');
    given.push(entry.text());
  };
  const first = start(options, handler);
  await expect(first.done).rejects.toMatchObject({
    code: 'HANDLER_FAILED',
    message: expect.stringMatching(/stopped at record 3, which has failed 2 times \(no three\)/),
    details: { consumer: 'billing', glsn: 3, attempts: 2 },
    cause: expect.any(RangeError),
  });
  expect(await positionOf()).toBe(2);
  expect(first.status.error?.code).toBe('HANDLER_FAILED');
  await expect(first.caughtUp()).rejects.toMatchObject({ code: 'HANDLER_FAILED' });
  await first.close();
  isBroken = false;
  await start(options, handler).caughtUp();
  expect(given).toEqual(range(5));
});

test('a record that fails is passed over where that is wanted', async () => {
  await setup.records.append(range(5));
  const given: string[] = [];
  const consumer = start({ name: 'billing', attempts: 1, onError: 'skip' }, (entry) => {
    if (entry.text() === '3') throw new Error('no three');
    given.push(entry.text());
  });
  await consumer.caughtUp();
  expect(given).toEqual(['1', '2', '4', '5']);
  expect(consumer.status).toMatchObject({ position: 5, skipped: 1, parked: 0 });
});

test('records that fail are parked with their cause, replayed among the others, and parked again or done', async () => {
  await setup.records.append(range(5));
  const given: string[] = [];
  let broken = new Set(['2', '4']);
  const options = { name: 'billing', attempts: 2, onError: 'park' as const, ...often };
  const handler = (entry: { text(): string }, { isReplay }: { isReplay: boolean }) => {
    if (broken.has(entry.text())) throw new Error(`no ${entry.text()}`);
    given.push(isReplay ? `${entry.text()} again` : entry.text());
  };
  const first = start(options, handler);
  await first.caughtUp();
  expect(first.status).toMatchObject({ position: 5, parked: 2, lag: 0 });
  const [known] = await setup.log.consumers.list();
  expect(known!.parked).toMatchObject([
    { glsn: 2, attempts: 2, cause: 'no 2', replay: false },
    { glsn: 4, attempts: 2, cause: 'no 4', replay: false },
  ]);
  expect(known!.parked[0]!.at).toBeGreaterThan(1e12);
  await first.close();

  const second = start(options, handler);
  await second.caughtUp();
  broken = new Set(['4']);
  await setup.log.consumers.replay('billing');
  await until(async () => {
    const [it] = await setup.log.consumers.list();
    return it!.parked.length === 1 && it!.parked[0]!.attempts === 4;
  });
  expect(given).toEqual(['1', '3', '5', '2 again']);
  await until(() => second.status.parked === 1);
  await expect(setup.log.consumers.drop('billing', [])).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
  expect(second.status.parked).toBe(1);
  await setup.log.consumers.drop('billing', [4]);
  await until(() => second.status.parked === 0);
  await expect(setup.log.consumers.replay('billing', [4])).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
});

test('a record that was parked before the checkpoint passed it is not given once more by itself', async () => {
  await setup.records.append(range(3));
  // A life that ended between the two.
  const registry = setup.log.consumers.registry;
  const life = { name: 'billing', owner: 'a', begin: 'start' } as const;
  const epoch = await registry.open(life, {});
  const parked = [{ glsn: 2, attempts: 1, cause: 'why', at: 0, replay: false }];
  const step = { name: 'billing', epoch, sequence: 1, position: 0, parked, settled: [] };
  await registry.advance(step, {});
  const given: string[] = [];
  const consumer = start({ name: 'billing', onError: 'park' }, (it) => given.push(it.text()));
  await consumer.caughtUp();
  expect(given).toEqual(['1', '3']);
});

describe('records that the codec does not take', () => {
  const values = (onDecodeError?: 'skip' | 'pass') =>
    setup.log.records({ codec: json<number>(), ...(onDecodeError && { onDecodeError }) });
  beforeEach(() => setup.records.append(['1', 'no json', '3', 'nor this']));

  test('are what fails, at once, and can be parked', async () => {
    const given: number[] = [];
    const consumer = values().process(
      { name: 'billing', onError: 'park', orderBy: (it) => it.value },
      (it) => given.push(it.value),
    );
    setup.running.push(consumer);
    await consumer.caughtUp();
    expect(given).toEqual([1, 3]);
    const [known] = await setup.log.consumers.list();
    expect(known!.parked).toMatchObject([
      { glsn: 2, attempts: 1, cause: expect.stringContaining('DECODE_FAILED') },
      { glsn: 4 },
    ]);
  });

  test('stop it otherwise', async () => {
    const consumer = values().process({ name: 'billing' }, () => {});
    setup.running.push(consumer);
    await expect(consumer.done).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
      cause: expect.objectContaining({ code: 'DECODE_FAILED' }),
    });
  });

  test('are left out, or given, where the topic says so; either way the position passes them', async () => {
    for (const policy of ['skip', 'pass'] as const) {
      const given: string[] = [];
      const consumer = values(policy).process({ name: policy }, (it) => given.push(it.text()));
      setup.running.push(consumer);
      await consumer.caughtUp();
      expect(consumer.status.position).toBe(4);
      expect(given).toHaveLength(policy === 'skip' ? 2 : 4);
    }
  });
});

describe('a consumer is closed', () => {
  test('when what has begun is done, and what has not is left to the next', async () => {
    await setup.records.append(range(5));
    const { pass, open, waiting } = gate();
    const consumer = start({ name: 'billing', concurrency: 2 }, (entry) => pass(entry.text()));
    await until(() => waiting.size === 2);
    const closed = consumer.close();
    expect(consumer.status.state).toBe('draining');
    expect(consumer.health().ok).toBe(false);
    open('2');
    open('1');
    await closed;
    await consumer.done;
    expect([...waiting]).toEqual([]);
    expect(await positionOf()).toBe(2);
    await expect(consumer.caughtUp()).rejects.toMatchObject({ code: 'CLOSED' });
  });

  test.each([{ drain: false }, { timeoutMs: 20 }])(
    'also while a handler hangs: %j',
    async (how) => {
      await setup.records.append(range(2));
      const { pass, waiting } = gate();
      const signals: AbortSignal[] = [];
      const consumer = start({ name: 'billing' }, (entry, { signal }) => {
        signals.push(signal);
        return entry.text() === '1' ? undefined : pass(entry.text());
      });
      await until(() => waiting.size === 1);
      await Promise.all([consumer.close(how), consumer.close()]);
      expect(signals.every((it) => it.aborted)).toBe(true);
      expect(await positionOf()).toBe(1);
      await consumer.done;
    },
  );

  test('by its signal, and while it cannot be opened', async () => {
    setup.log.disconnect();
    const stopping = new AbortController();
    const consumer = start({ name: 'billing', signal: stopping.signal }, () => {});
    await until(() => consumer.status.trouble !== undefined);
    expect(consumer.health().reason).toMatch(/UNAVAILABLE/);
    stopping.abort();
    await consumer.done;
    expect(consumer.status.state).toBe('closed');
    await expect(consumer.close({ timeoutMs: 0 })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });
});

test('it waits for a log that does not answer, and goes on', async () => {
  setup.log.disconnect();
  const given: string[] = [];
  const consumer = start({ name: 'billing', ...often }, (entry) => given.push(entry.text()));
  await until(() => consumer.status.trouble !== undefined);
  setup.log.connect();
  await setup.records.append('a');
  await until(() => given.length === 1);
  setup.log.disconnect();
  await until(() => consumer.status.trouble !== undefined);
  setup.log.connect();
  await until(() => consumer.status.trouble === undefined);
  expect(consumer.health()).toEqual({ ok: true });
});

test('one that was removed stops, and begins anew when it is started again', async () => {
  await setup.records.append('a');
  const consumer = start({ name: 'billing', ...often }, () => {});
  await consumer.caughtUp();
  await setup.log.consumers.remove('billing');
  await expect(consumer.done).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(setup.log.consumers.remove('billing')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const again = start({ name: 'billing', from: 'end' }, () => {});
  await again.caughtUp();
  expect(again.status.position).toBe(1);
});

test('one that is added before it runs begins there, whatever it is started with', async () => {
  await setup.records.append(['a', 'b']);
  await setup.log.consumers.add('billing', { from: 2 });
  await setup.log.consumers.add('late', { from: { time: Date.now() + 60_000 } });
  await setup.log.consumers.add('all');
  expect(await Promise.all(['billing', 'late', 'all'].map(positionOf))).toEqual([1, 2, 0]);
  await expect(setup.log.consumers.add('billing')).rejects.toMatchObject({
    code: 'ALREADY_EXISTS',
  });
  await expect(setup.log.consumers.add('x', { from: 'middle' as never })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
  await setup.records.append('c');
  const given: string[] = [];
  const consumer = start({ name: 'billing', from: 'end' }, (it) => given.push(it.text()));
  await consumer.caughtUp();
  expect(given).toEqual(['b', 'c']);
  expect(consumer.status.state).toBe('running');
});

test('records that are gone are told', async () => {
  await setup.records.append(range(5));
  const first = start({ name: 'billing' }, () => {});
  await first.caughtUp();
  await first.close();
  await setup.records.append(range(5));
  await setup.log.compact(8, new Uint8Array(), { force: true });
  const second = start({ name: 'billing' }, () => {});
  await expect(second.done).rejects.toMatchObject({ code: 'TRIMMED' });
});

test('who closes it when it stops, at the word of its status, does not hide why', async () => {
  await setup.records.append('a');
  const consumer = start({ name: 'billing', attempts: 1 }, () => {
    throw new Error('no');
  });
  consumer.status$.subscribe(({ error }) => {
    if (error !== undefined) void consumer.close();
  });
  await expect(consumer.done).rejects.toMatchObject({ code: 'HANDLER_FAILED' });
  expect(consumer.status).toMatchObject({ state: 'stopped', error: { code: 'HANDLER_FAILED' } });
});

test('an error that orderBy throws ends it', async () => {
  await setup.records.append('a');
  const orderBy = (): never => {
    throw new VarlogError('INTERNAL', { what: 'no order' });
  };
  const consumer = start({ name: 'billing', concurrency: 2, orderBy }, () => {});
  await expect(consumer.done).rejects.toMatchObject({ code: 'INTERNAL' });
});
