import { Admission, type AdmissionState } from './admission.ts';
import { restoreTurns } from './restore-turns.ts';
import { Rules } from './rules.ts';
import { encodeSnapshot } from './snapshot-format.ts';
import { readSnapshot } from './snapshot-reader.ts';

const own = { log: 'a log', machine: 'a machine' };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const COUNT = 5_000;

function admission(): Admission {
  const made = new Admission({}, new Rules());
  made.bind(new Uint8Array(8).fill(3));
  return made;
}

function stateOf(count: number): AdmissionState {
  const ids = Array.from({ length: count }, (_, i) => i + 1);
  const numbers = { time: 9, forgotten: 6, seen: 7, rules: 0, timersMade: count };
  return {
    ...{ ...numbers, skipped: [4], skippedTimers: [5] },
    sessions: ids.map((id) => ({
      ...{ id, usedAt: id, usedPosition: id, acked: id, clock: id },
      results: [{ sequence: id, result: bytes('a result'), refusal: '' }],
    })),
    requests: ids.map((i) => ({
      ...{ id: `request ${i}`, length: i, checksum: i, position: i, time: i, refusal: '' },
      result: bytes('a result'),
    })),
    timers: ids.map((id) => ({ id, at: 1_000 + id, command: bytes('later') })),
  };
}

async function restored(count: number): Promise<Admission> {
  const made = admission();
  const turns = restoreTurns({ defer: (run) => void setImmediate(run) });
  const admit = await made.read([stateOf(count)], turns);
  admit();
  return made;
}

const contentOf = ({ sessions, requests, timers, ...rest }: ReturnType<Admission['encode']>) => ({
  ...rest,
  requests: Buffer.concat(requests).toString('hex'),
  sessions: [...sessions],
  timers: [...timers],
});

/** Its snapshot, as it is stored. */
async function* stored(of: Admission): AsyncGenerator<Uint8Array> {
  const state = { position: 1, admission: of.encode(), pieces: [], isInPieces: true };
  yield* encodeSnapshot(own, state, { defer: (run) => void setImmediate(run) }, () => {});
}

/** Counts what is restored of each kind, in all tables that are made from now on. */
function countRestored(of: Admission): () => number {
  let count = 0;
  for (const table of [of.sessions, of.requests, of.timers]) {
    const fresh = table.fresh.bind(table) as () => { restore(it: never): void };
    (table as { fresh: unknown }).fresh = () => {
      const made = fresh();
      const restore = made.restore.bind(made);
      made.restore = (it) => {
        count++;
        restore(it);
      };
      return made;
    };
  }
  return () => {
    const was = count;
    count = 0;
    return was;
  };
}

test('what decides on commands is restored in turns, and is as it was until all of it is there', async () => {
  const before = await restored(3);
  const old = contentOf(before.encode());
  let due: (() => void)[] = [];
  const turns = restoreTurns({ defer: (run) => void due.push(run) });
  const restoredSince = countRestored(before);
  let admit: (() => void) | undefined;
  const reading = readSnapshot(stored(await restored(COUNT)), own, 'it', async (snapshot) => {
    admit = await before.read(snapshot.admission(), turns);
  });
  let [most, all] = [0, 0];
  while (admit === undefined) {
    await new Promise((resolve) => setImmediate(resolve));
    const inTurn = restoredSince();
    most = Math.max(most, inTurn);
    all += inTurn;
    expect(contentOf(before.encode())).toEqual(old);
    const now = due;
    due = [];
    for (const run of now) run();
  }
  await reading;
  expect(all).toBe(3 * COUNT);
  expect(most).toBeLessThanOrEqual(256);
  admit();
  expect(contentOf(before.encode())).toEqual(contentOf((await restored(COUNT)).encode()));
  expect(before.time).toBe(9);
  expect(before.timers.room).toBe((await restored(COUNT)).timers.room);
});

test('what cannot be read to its end leaves what was there', async () => {
  const before = await restored(3);
  const old = contentOf(before.encode());
  async function* broken(): AsyncGenerator<AdmissionState> {
    yield stateOf(COUNT);
    throw new RangeError('what follows is damaged');
  }
  const turns = restoreTurns({ defer: (run) => void setImmediate(run) });
  await expect(before.read(broken(), turns)).rejects.toThrow(RangeError);
  const newer = [{ ...stateOf(9), rules: 2 }];
  await expect(before.read(newer, turns)).rejects.toMatchObject({ code: 'APPLY_FAILED' });
  expect(contentOf(before.encode())).toEqual(old);
});
