import fc from 'fast-check';
import type { Clock } from '../base/index.ts';
import { Snapshot as SnapshotMessage } from '../wire/gen/smr.ts';
import { Admission, type AdmissionState, type EncodedAdmission } from './admission.ts';
import { restoreTurns } from './restore-turns.ts';
import { Rules } from './rules.ts';
import { type CapturedState, encodeSnapshot } from './snapshot-format.ts';
import { readSnapshot } from './snapshot-reader.ts';

const own = { log: 'a log', machine: 'a machine' };
const atOnce: Pick<Clock, 'defer'> = { defer: (run) => void Promise.resolve().then(run) };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

async function admissionOf(sessions: number, requests: number): Promise<Admission> {
  const admission = new Admission({}, new Rules());
  admission.bind(new Uint8Array(8).fill(3));
  const session = (id: number): AdmissionState['sessions'][number] => ({
    ...{ id, usedAt: id + 0.5, usedPosition: id, acked: id, clock: id },
    results: [{ sequence: id, result: bytes(`result ${id}`), refusal: '' }],
  });
  const request = (i: number): AdmissionState['requests'][number] => ({
    ...{ id: `request ${i}`, length: i, checksum: i, position: i, time: i, refusal: '' },
    result: bytes('x'.repeat(i % 300)),
  });
  const state = {
    ...{ time: 5, forgotten: 6, seen: 2 ** 40, skipped: [3, 2 ** 33], skippedTimers: [1] },
    ...{ rules: 0, timers: [{ id: 3, at: 0.5, command: bytes('later') }], timersMade: 4 },
    sessions: Array.from({ length: sessions }, (_, i) => session(i + 1)),
    requests: Array.from({ length: requests }, (_, i) => request(i + 1)),
  };
  const admit = await admission.read([state], restoreTurns(atOnce));
  admit();
  return admission;
}

/** To be compared: all of it. */
const whole = (it: EncodedAdmission): unknown => ({
  ...it,
  sessions: [...it.sessions],
  timers: [...it.timers],
});

async function all(of: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const found: Uint8Array[] = [];
  for await (const it of of) found.push(it);
  return found;
}

async function encoded(
  pieces: Iterable<Uint8Array>,
  { sessions = 2, requests = 2, isInPieces = true } = {},
): Promise<Buffer> {
  const admission = (await admissionOf(sessions, requests)).encode();
  const state: CapturedState = { position: 2 ** 40, admission, pieces, isInPieces };
  return Buffer.concat(await all(encodeSnapshot(own, state, atOnce, () => {})));
}

interface Found {
  readonly position: number;
  readonly isInPieces: boolean;
  readonly admission: Admission;
  readonly pieces: Uint8Array[];
}

async function* cut(whole: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, i = 0; at < whole.length; i++) {
    const size = sizes[i % sizes.length]!;
    yield whole.subarray(at, at + size);
    at += size;
  }
}

async function read(whole: Uint8Array, sizes = [1 << 20], identity = own): Promise<Found> {
  let found: Found | undefined;
  await readSnapshot(cut(whole, sizes), identity, 'it', async (snapshot) => {
    const { position, isInPieces } = snapshot;
    const admission = await admissionOf(0, 0);
    const admit = await admission.read(snapshot.admission(), restoreTurns(atOnce));
    admit();
    const pieces = (await all(snapshot.pieces())).map((it) => new Uint8Array(it));
    found = { position, isInPieces, admission, pieces };
  });
  return found!;
}

const sizes = fc.array(fc.integer({ min: 300, max: 200_000 }), { minLength: 1, maxLength: 4 });
const length = fc.oneof(
  fc.integer({ min: 0, max: 50 }),
  fc.constantFrom(127, 128, 65_535, 65_536, 65_537, 131_072, 300_000),
);

test('what is written is read, whatever the pieces, and however they are cut', async () => {
  const lengths = fc.array(length, { maxLength: 12 });
  const counts = fc.record({ sessions: fc.nat({ max: 150 }), requests: fc.nat({ max: 400 }) });
  await fc.assert(
    fc.asyncProperty(lengths, counts, sizes, fc.boolean(), async (of, count, cuts, isInPieces) => {
      const pieces = of.map((it, i) => new Uint8Array(it).fill(i + 1));
      const found = await read(await encoded(pieces, { ...count, isInPieces }), cuts);
      expect(found).toMatchObject({ position: 2 ** 40, isInPieces });
      expect(found.pieces.map((it) => Buffer.compare(it, pieces[it[0]! - 1] ?? it))).toEqual(
        pieces.map(() => 0),
      );
      expect(found.pieces.map((it) => it.length)).toEqual(of);
      const expected = (await admissionOf(count.sessions, count.requests)).encode();
      expect(whole(found.admission.encode())).toEqual(whole(expected));
    }),
    { numRuns: 15 },
  );
});

describe('what is not as it was written', () => {
  const pieces = [bytes('one'), bytes(''), new Uint8Array(70_000).fill(9), bytes('four')];
  const corrupt = { code: 'CORRUPT' };

  test('is found at every bit of it', async () => {
    const whole = await encoded(pieces.filter((it) => it.length < 100));
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const damaged = Buffer.from(whole);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      // The format itself has no checksum of its own: that of its store tells.
      const code = bit >> 3 === 1 ? expect.stringMatching('FORMAT_UNKNOWN|CORRUPT') : 'CORRUPT';
      await expect(read(damaged, [17])).rejects.toMatchObject({ code });
    }
  });

  test('is found wherever it is cut off, and when something follows', async () => {
    const whole = await encoded(pieces);
    const step = (at: number): number => (at < 300 || whole.length - at < 100 ? 1 : 4_999);
    for (let at = 0; at < whole.length; at += step(at))
      await expect(read(whole.subarray(0, at))).rejects.toMatchObject(corrupt);
    await expect(read(Buffer.concat([whole, bytes('x')]))).rejects.toMatchObject(corrupt);
  });

  test('is found where parts are missing, doubled or exchanged', async () => {
    const whole = await encoded(pieces);
    const parts = partsOf(whole);
    expect(parts.length).toBeGreaterThan(9);
    const place = fc.nat({ max: parts.length - 1 });
    const change = fc.constantFrom('missing', 'doubled', 'exchanged');
    await fc.assert(
      fc.asyncProperty(change, place, place, async (kind, one, other) => {
        const changed = [...parts];
        if (kind === 'missing') changed.splice(one, 1);
        else if (kind === 'doubled') changed.splice(other, 0, parts[one]!);
        else [changed[one], changed[other]] = [parts[other]!, parts[one]!];
        const bytes = Buffer.concat([whole.subarray(0, 2), ...changed]);
        fc.pre(Buffer.compare(bytes, whole) !== 0);
        await expect(read(bytes)).rejects.toMatchObject(corrupt);
      }),
    );
  });
});

test('whose state it is is found before the rest is read', async () => {
  const whole = await encoded([new Uint8Array(1_000_000)]);
  let taken = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of cut(whole, [100])) {
      taken += chunk.length;
      yield chunk;
    }
  }
  const other = { ...own, log: 'another log' };
  const reading = readSnapshot(counted(), other, 'it', async () => {});
  await expect(reading).rejects.toMatchObject({ code: 'LOG_MISMATCH' });
  expect(taken).toBeLessThan(300);
});

test('versions that know no parts see that the format is another one', async () => {
  const message = SnapshotMessage.decode(await encoded([bytes('a piece')]));
  expect(message).toMatchObject({ format: 3, position: 0, state: new Uint8Array() });
});

test('a later format is refused as such', async () => {
  const later = SnapshotMessage.encode(SnapshotMessage.create({ format: 4, ...own }));
  await expect(read(later)).rejects.toMatchObject({ code: 'FORMAT_UNKNOWN' });
});

test('no turn has more than its share, and a reader that waits is waited for', async () => {
  const due: (() => void)[] = [];
  let [pieces, size, most, mostBytes, turns] = [0, 0, 0, 0, 0];
  const clock = { defer: (run: () => void) => void due.push(run) };
  function* counted(): Generator<Uint8Array> {
    for (let i = 0; i < 5_000; i++) {
      const piece = new Uint8Array(i % 50 === 0 ? 40_000 : 20);
      pieces++;
      size += piece.length;
      yield piece;
    }
  }
  const admission = (await admissionOf(1_000, 2_000)).encode();
  const state = { position: 1, admission, pieces: counted(), isInPieces: true };
  const writing = all(encodeSnapshot(own, state, clock, () => {}));
  let isDone = false;
  void writing.then(() => {
    isDone = true;
  });
  while (!isDone) {
    await new Promise((resolve) => setImmediate(resolve));
    most = Math.max(most, pieces);
    mostBytes = Math.max(mostBytes, size);
    [pieces, size] = [0, 0];
    turns++;
    for (const run of due.splice(0)) run();
  }
  expect(most).toBeLessThanOrEqual(257);
  expect(mostBytes).toBeLessThanOrEqual(257 * 1_024 + 40_000);
  expect(turns).toBeGreaterThan(20);

  // Nothing is made before it is asked for.
  const slow = encodeSnapshot(own, { ...state, pieces: counted() }, atOnce, () => {});
  await slow.next();
  const made = size;
  await new Promise((resolve) => setImmediate(resolve));
  expect(size).toBe(made);
  expect(size).toBeLessThan(300_000);
});

test('the state stays as it was, whatever is decided meanwhile', async () => {
  const admission = await admissionOf(3, 500);
  const expected = (await admissionOf(3, 500)).encode();
  const state = { position: 1, admission: admission.encode(), pieces: [], isInPieces: true };
  const chunks = encodeSnapshot(own, state, atOnce, () => {});
  // Forgets all, and remembers others in their place.
  admission.requests.expire(1e15);
  const outcome = bytes('another result');
  for (let i = 0; i < 600; i++) {
    const place = { length: 1, checksum: 1, position: 1_000 + i, time: 1e15 };
    admission.requests.add({ id: bytes(`other ${i}`), ...place, outcome });
  }
  for (const sequence of [7, 8]) {
    const use = { sequence, acked: sequence, position: 2_000, time: 9, clock: 9 };
    expect(admission.sessions.admit(2, use)).toBe('fresh');
    admission.sessions.done(2, sequence, outcome);
  }
  expect(admission.sessions.outcomeOf(2, 2)).toBeUndefined();
  expect(admission.sessions.outcomeOf(2, 8)).toEqual(outcome);
  admission.sessions.open(9_999, 1e15, 1);
  const found = await read(Buffer.concat(await all(chunks)));
  expect(whole(found.admission.encode())).toEqual(whole(expected));
});

/** The fields behind the format. */
function partsOf(whole: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 2; at < whole.length; ) {
    let [length, end] = [0, at + 1];
    for (let shift = 0; ; shift += 7) {
      const byte = whole[end++]!;
      length |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    parts.push(whole.subarray(at, end + length));
    at = end + length;
  }
  return parts;
}
