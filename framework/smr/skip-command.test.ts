import fc from 'fast-check';
import { VarlogError } from '../base/index.ts';
import { realClock } from '../runtime/clock.ts';
import { MemoryLog } from '../testing/memory-log.ts';
import { Admission, NOTHING_ADMITTED } from './admission.ts';
import { encodeOpen, encodeSkip } from './envelope.ts';
import {
  type ApplyContext,
  type Replica,
  type StateMachine,
  skipCommand,
  startReplica,
} from './index.ts';
import { restoreTurns } from './restore-turns.ts';
import { Rules } from './rules.ts';

/** Keeps words, and throws on some of them: in the middle, when it has changed already. */
class Fragile implements StateMachine<string, number, string[]> {
  words: string[] = [];
  readonly sound: boolean;
  constructor(sound = false) {
    this.sound = sound;
  }
  apply(word: string): number {
    this.words.push(word);
    if (word === 'poison' && !this.sound) throw new Error('a bug');
    return this.words.length;
  }
  snapshot(): string[] {
    return this.words;
  }
  restore(words: string[]): void {
    this.words = [...words];
  }
}

/** Says some words later. */
class Deferring extends Fragile {
  override apply(word: string, context?: ApplyContext<string>): number {
    if (!word.startsWith('later ')) return super.apply(word);
    return context!.schedule(context!.time, word.slice('later '.length)) as number;
  }
}

function failureOf(replica: FragileReplica): Promise<VarlogError> {
  return new Promise((resolve) => {
    replica.status$.subscribe(({ state, error }) => {
      if (state === 'failed') resolve(error as VarlogError);
    });
  });
}

type FragileReplica = Replica<string, number, Fragile>;
const wordsOf = (it: Fragile): string[] => [...it.words];
const start = (log: MemoryLog, snapshotEvery?: number, machine = new Fragile()) =>
  startReplica({ machine, log, ...(snapshotEvery === undefined ? {} : { snapshotEvery }) });

/** Executes the poison; gives back its position. */
async function poison(replica: FragileReplica): Promise<number> {
  const error = await replica.execute('poison', { requestId: 'p' }).catch((it: unknown) => it);
  expect(error).toMatchObject({ code: 'APPLY_FAILED', cause: { code: 'APPLY_FAILED' } });
  return ((error as VarlogError).cause as VarlogError).details['position'] as number;
}

describe('a command that no replica can apply', () => {
  test('stops them with its position, also after restarts; by order all pass over it alike', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(4),
        fc.nat(4),
        fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
        async (before, between, snapshotEvery) => {
          const log = new MemoryLog();
          await using one = await start(log, snapshotEvery);
          const expected: string[] = [];
          for (let i = 0; i < before; i++) {
            await one.execute(`before ${i}`);
            expected.push(`before ${i}`);
          }
          const position = await poison(one);
          await using again = await start(log, snapshotEvery);
          await expect(again.caughtUp()).rejects.toMatchObject({ code: 'APPLY_FAILED' });
          for (let i = 0; i < between; i++) await log.append([new TextEncoder().encode('stray')]);
          await skipCommand(log, position);
          await using two = await start(log, snapshotEvery);
          await using three = await start(log);
          await two.execute('behind');
          expected.push('behind');
          for (const it of [two, three]) expect(await it.query(wordsOf)).toEqual(expected);
          const refused = { code: 'APPLY_FAILED', outcome: 'notAppended' };
          await expect(three.execute('poison', { requestId: 'p' })).rejects.toMatchObject(refused);
          await using four = await start(log);
          expect(await four.query(wordsOf)).toEqual(expected);
        },
      ),
      { numRuns: 15 },
    );
  }, 60_000);

  test('cannot be passed over by a machine whose state could not be kept before it', async () => {
    class Unkept extends Fragile {
      override snapshot(): string[] {
        if (this.words.length === 0) throw new Error('nothing to keep');
        return super.snapshot();
      }
    }
    const log = new MemoryLog();
    await using one = await start(log, undefined, new Unkept());
    await skipCommand(log, await poison(one));
    await using two = await start(log, undefined, new Unkept());
    await expect(two.caughtUp()).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/correct `snapshot\(\)`/),
    });
  });

  test('a command that cannot be decoded is one, too', async () => {
    const log = new MemoryLog();
    const command = { encode: (it: string) => Buffer.from(it), decode: () => never() };
    const never = (): string => {
      throw new Error('not of this codec');
    };
    await using one = await startReplica({ machine: new Fragile(), log, codec: { command } });
    const error = await one.execute('x').catch((it: unknown) => it);
    expect(error).toMatchObject({ cause: { code: 'APPLY_FAILED' } });
    await skipCommand(
      log,
      ((error as VarlogError).cause as VarlogError).details['position'] as number,
    );
    await using two = await start(log);
    expect(await two.execute('a')).toBe(1);
  });

  test('an order against a command that took effect is refused, or void', async () => {
    const log = new MemoryLog();
    await using one = await start(log);
    await one.execute('a');
    const position = one.position;
    await one.execute('b');
    const refused = { code: 'FAILED_PRECONDITION', outcome: 'notAppended' };
    await expect(skipCommand(log, position)).rejects.toMatchObject(refused);
    for (const at of [0, 1, one.position + 1, 0.5])
      await expect(skipCommand(log, at)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(skipCommand(log, position, { name: 'other' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  test('a replica that did apply it stops at the order, until that is taken back', async () => {
    const log = new MemoryLog();
    await using one = await start(log);
    await one.execute('a');
    const order = await skipCommand(log, one.position);
    await expect(one.caughtUp()).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    await skipCommand(log, order);
    await using two = await start(log);
    await two.execute('b');
    await using three = await start(log);
    expect(await three.query(wordsOf)).toEqual(['a', 'b']);
  });

  test('a replica of a mended version shows that it applied it: the order comes too late', async () => {
    const log = new MemoryLog();
    await using one = await start(log);
    const position = await poison(one);
    await using mended = await start(log, undefined, new Fragile(true));
    await mended.execute('a');
    await expect(skipCommand(log, position)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(VarlogError.is(await mended.query(wordsOf))).toBe(false);
  });

  test('one of a timer is passed over by the name of its timer, and nothing else of that place', async () => {
    const log = new MemoryLog();
    await using one = await startReplica({ machine: new Deferring(), log });
    // At once, so at one time: neither is due before the other one is scheduled.
    await Promise.all(['a', 'later poison', 'later b'].map((it) => one.execute(it)));
    const failure = await failureOf(one);
    expect(failure).toMatchObject({ code: 'APPLY_FAILED', details: { timer: 1 } });
    const { position } = failure.details as { position: number };
    expect(failure.message).toContain(`skipCommand(log, ${position}, { timer: 1 })`);
    await using again = await startReplica({ machine: new Deferring(), log });
    expect((await failureOf(again)).details).toEqual(failure.details);
    await expect(skipCommand(log, position, { timer: 1, name: 'other' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await skipCommand(log, position, { timer: 1 });
    const expected = ['a', 'b', 'behind'];
    await using two = await startReplica({ machine: new Deferring(), log, snapshotEvery: 1 });
    await two.caughtUp();
    while (two.machine.words.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    await two.execute('behind');
    await using three = await startReplica({ machine: new Deferring(), log });
    for (const it of [two, three]) expect(await it.query(wordsOf)).toEqual(expected);
    await expect(skipCommand(log, position, { timer: 1 })).rejects.toMatchObject({
      code: 'TRIMMED',
    });
  });

  test('what was passed over is in a snapshot, so that the order finds it done', async () => {
    const tag = new Uint8Array(8);
    const [one, other] = [new Admission({}, new Rules()), new Admission({}, new Rules())];
    const timer = { id: 3, at: 1, command: new Uint8Array() };
    for (const it of [one, other]) it.bind(tag);
    const turns = restoreTurns(realClock());
    const admit = await one.read([{ ...NOTHING_ADMITTED, timers: [timer], timersMade: 3 }], turns);
    admit();
    one.order(new Set([-3]));
    one.admit({ position: 5, command: encodeOpen(tag, 1_000) });
    expect([...one.due()]).toEqual([]);
    const { sessions, timers, ...stored } = one.encode();
    const lists = { sessions: [...sessions], timers: [...timers], requests: [] };
    (await other.read([{ ...stored, ...lists }], turns))();
    expect(other.skips).toBe(1);
    const order = { position: 6, command: encodeSkip(tag, 5, 3) };
    expect(other.admit(order)).toBe('passed');
    const another = { position: 7, command: encodeSkip(tag, 5, 2) };
    expect(() => other.admit(another)).toThrow('the command of timer 2');
  });
});
