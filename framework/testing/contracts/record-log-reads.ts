import assert from 'node:assert/strict';
import { firstValueFrom, take as taking, toArray } from 'rxjs';
import { handle } from '../../log/index.ts';
import type { Register } from './contract.ts';
import type { RecordLogUnderTest } from './record-log-under-test.ts';
import { all, shown, take } from './taken-entries.ts';

/** Tails as Observables: cold, with a status, and no faster than they are handled. */
export function observedRecords(test: Register<RecordLogUnderTest>): void {
  test('an Observable of the records follows the log, and each subscription has its own pass', async ({
    log,
  }) => {
    await log.append(['a', 'b']);
    const tail$ = log.tail$({ from: 'start' });
    const states: string[] = [];
    tail$.status$.subscribe(({ state }) => states.push(state));
    const three = () => firstValueFrom(tail$.pipe(taking(3), toArray()));
    const first = three();
    await log.append('c');
    for (const found of [await first, await three()]) {
      assert.deepEqual(
        found.map((it) => it.text()),
        ['a', 'b', 'c'],
      );
    }
    assert.ok(states.includes('live') && states.at(-1) === 'closed', states.join());
    for await (const it of tail$) {
      assert.equal(it.text(), 'a');
      break;
    }
  });

  test('has caught up when what was there is handled, and not before', async ({ log }) => {
    await log.append(['a', 'b', 'c']);
    const tail$ = log.tail$({ from: 'start', maxInFlight: 1 });
    await assert.rejects(tail$.caughtUp(), { code: 'FAILED_PRECONDITION' });
    const begun: string[] = [];
    let go = (): void => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const work = handle(async (it: { text(): string }) => {
      begun.push(it.text());
      await gate;
    });
    const subscription = tail$.pipe(work).subscribe();
    let level = false;
    const waiting = tail$.caughtUp().then(() => {
      level = true;
    });
    await log.append('d');
    await assert.rejects(tail$.caughtUp({ timeoutMs: 50 }), { code: 'TIMEOUT' });
    assert.deepEqual([begun, level], [['a'], false]);
    go();
    await waiting;
    await tail$.caughtUp();
    assert.deepEqual(begun, ['a', 'b', 'c', 'd']);
    subscription.unsubscribe();
    await assert.rejects(async () => {
      await log.append('e');
      await tail$.caughtUp();
    });
  });
}

/** Reads from a time, as fresh as they have to be, and how they end. */
export function readsOfRecords(test: Register<RecordLogUnderTest>): void {
  test('a read of at least what was acknowledged sees it, and ends', async ({ log }) => {
    for (let i = 1; i <= 10; i++) {
      const { glsn, count } = await log.append([`${i}`, `${i}'`]);
      const atLeast = glsn + count - 1;
      const entries = await all(log.read({ from: glsn, atLeast }));
      assert.deepEqual(entries.map(shown), (await all(log.read({ from: glsn }))).map(shown));
      assert.equal(entries.length, 2);
    }
    const named = await all(log.read({ from: 3, to: 7, consistency: 'stale' }));
    assert.deepEqual(
      named.map((it) => it.glsn),
      [3, 4, 5, 6, 7],
    );
  });

  test('a stale read sees the beginning of the log, with nothing left out', async ({ log }) => {
    for (let i = 1; i <= 5; i++) await log.append(`${i}`);
    const glsns = (await all(log.read({ consistency: 'stale' }))).map((it) => it.glsn);
    assert.deepEqual(
      glsns,
      glsns.map((_, i) => i + 1),
    );
    assert.ok(glsns.length <= 5);
  });

  test('a position that is not there yet is waited for, until the time is over', async ({
    log,
  }) => {
    await log.append('a');
    const late = all(log.read({ atLeast: 2, timeoutMs: 50 }));
    await assert.rejects(late, { code: 'TIMEOUT' });
    const reading = all(log.read({ atLeast: 2 }));
    await log.append('b');
    assert.deepEqual(
      (await reading).map((it) => it.text()),
      ['a', 'b'],
    );
    const ending = new AbortController();
    const aborted = all(log.read({ atLeast: 9, signal: ending.signal }));
    ending.abort(new Error('enough'));
    await assert.rejects(aborted, { message: 'enough' });
  });

  test('what no read can be asked for is refused, each with an error of its own', async ({
    log,
  }) => {
    const refused: [object, RegExp][] = [
      [{ consistency: 'eventual' }, /consistency is the text "eventual"/],
      [{ atLeast: 0 }, /atLeast is 0/],
      [{ atLeast: 1.5 }, /1.5/],
      [{ atLeast: '1' }, /atLeast is 1/],
      [{ atLeast: 1, consistency: 'linearizable' }, /leave atLeast out/],
      [{ timeoutMs: 0 }, /timeoutMs is 0/],
    ];
    for (const [options, message] of refused) assert.throws(() => log.read(options), { message });
  });

  test('a read without an end is refused, with what follows the log', async ({ log }) => {
    await log.append('a');
    const endless = async () => {
      for await (const _ of log.read({ to: Number.POSITIVE_INFINITY }));
    };
    await assert.rejects(endless, { code: 'INVALID_ARGUMENT', message: /tail\(\)/ });
  });

  test('reads from the time of each record, and from before and after all of them', async ({
    log,
  }) => {
    for (let i = 0; i < 6; i++) await log.append([`${i}`, `${i}'`]);
    const entries = await all(log.read());
    const times = entries.map((it) => it.timestamp);
    assert.ok(Math.min(...times) > 0, 'each record has a time');
    for (const time of [0, ...times, Math.max(...times) + 1]) {
      const wanted = entries.filter((it) => it.timestamp >= time);
      assert.deepEqual(
        (await all(log.read({ from: { time } }))).map((it) => it.glsn),
        wanted.map((it) => it.glsn),
      );
      const since = { getTime: () => time };
      const tail = await take(log.tail({ from: { time: since } }), wanted.length);
      assert.deepEqual(
        tail.map((it) => it.glsn),
        wanted.map((it) => it.glsn),
      );
    }
  });

  test('a time of which the records were trimmed is the first one left, and one to come the end', async ({
    log,
    trim,
  }) => {
    await log.append(['a', 'b', 'c']);
    await trim(2);
    const left = await all(log.read({ from: { time: 1 } }));
    assert.deepEqual(
      left.map((it) => it.text()),
      ['c'],
    );
    await assert.rejects(all(log.read({ from: 1 })), { code: 'TRIMMED' });
    const from = { time: left[0]!.timestamp + 1e9 };
    assert.deepEqual(await all(log.read({ from })), []);
    const coming = take(log.tail({ from }), 1);
    // It may begin before or after one of them is appended: one that it sees ends it.
    let seen = false;
    coming.then(
      () => {
        seen = true;
      },
      () => {},
    );
    while (!seen) await log.append('d');
    assert.equal((await coming)[0]!.text(), 'd');
  });

  test('a tail ends quietly when it is aborted, and a read with the reason', async ({ log }) => {
    await log.append('a');
    const stop = new AbortController();
    const { signal } = stop;
    const texts: string[] = [];
    for await (const it of log.tail({ from: 'start', signal })) {
      texts.push(it.text());
      stop.abort(new RangeError('enough'));
    }
    assert.deepEqual(texts, ['a']);
    await assert.rejects(all(log.read({ signal })), RangeError);
  });
}
