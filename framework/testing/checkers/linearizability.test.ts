import { SeededRandom } from '../simulator/random.ts';
import type { Operation } from './linearizability.ts';
import { checkRegisters, type RegisterInput, type RegisterOutput } from './registers.ts';

type RegisterOperation = Operation<RegisterInput, RegisterOutput>;
const put = (value: string, callMs: number, returnMs: number): RegisterOperation => ({
  input: { kind: 'put', key: 'x', value },
  callMs,
  returnMs,
  ...(returnMs !== Infinity && { output: null }),
});
const get = (output: string | null, callMs: number, returnMs: number): RegisterOperation => ({
  input: { kind: 'get', key: 'x' },
  output,
  callMs,
  returnMs,
});
const remove = (output: boolean, callMs: number, returnMs: number): RegisterOperation => ({
  input: { kind: 'delete', key: 'x' },
  output,
  callMs,
  returnMs,
});

test.each<[string, boolean, RegisterOperation[]]>([
  ['reads of what was written', true, [put('1', 0, 1), get('1', 2, 3)]],
  ['a stale read', false, [put('1', 0, 1), put('2', 2, 3), get('1', 4, 5)]],
  [
    'either value during a write',
    true,
    [put('1', 0, 1), put('2', 2, 9), get('1', 3, 4), get('2', 5, 6)],
  ],
  [
    'back and forth during a write',
    false,
    [put('1', 0, 1), put('2', 2, 9), get('2', 3, 4), get('1', 5, 6)],
  ],
  [
    'an unknown write that came late',
    true,
    [put('1', 0, Infinity), get(null, 2, 3), get('1', 4, 5)],
  ],
  [
    'an unknown write that came twice',
    false,
    [put('1', 0, Infinity), get('1', 2, 3), put('2', 4, 5), get('1', 6, 7)],
  ],
  ['an unknown write that never came', true, [put('1', 0, Infinity), get(null, 2, 3)]],
  ['a delete of an unknown write', true, [put('1', 0, Infinity), remove(true, 2, 3)]],
  [
    'two deletes of one unknown write',
    false,
    [put('1', 0, Infinity), remove(true, 2, 3), remove(true, 4, 5)],
  ],
])('%s', (_, ok, history) => {
  expect(checkRegisters(history).ok).toBe(ok);
});

/** Clients of a map that does each operation at one moment. Of the unknown ones it does a part, at any later time. */
function history(
  random: SeededRandom,
  of: { count: number; clients: number; keys: number; unknown: number },
): RegisterOperation[] {
  const map = new Map<string, string>();
  const freeMs = new Array<number>(of.clients).fill(0);
  const late: { atMs: number; input: RegisterInput }[] = [];
  const made: RegisterOperation[] = [];
  const apply = (input: RegisterInput): RegisterOutput => {
    const now = map.get(input.key) ?? null;
    if (input.kind === 'get') return now;
    if (input.kind === 'delete') return map.delete(input.key);
    if (input.kind === 'cas' && input.from !== now) return false;
    map.set(input.key, input.value);
    return input.kind === 'put' ? null : true;
  };
  for (let atMs = 1; made.length < of.count; atMs++) {
    for (const it of late) if (it.atMs === atMs) apply(it.input);
    const client = random.below(of.clients);
    const callMs = Math.max(freeMs[client]!, atMs - random.fraction() * of.clients);
    if (callMs >= atMs) continue;
    const key = `k${random.below(of.keys)}`;
    const value = `${atMs}`;
    const from = random.chance(0.8) ? (map.get(key) ?? null) : 'another';
    const input = random.pick<RegisterInput>([
      { kind: 'get', key },
      { kind: 'delete', key },
      { kind: 'put', key, value },
      { kind: 'cas', key, from, value },
    ]);
    if (random.chance(of.unknown)) {
      freeMs[client] = atMs;
      made.push({ input, callMs, returnMs: Infinity });
      if (random.chance(0.7)) late.push({ atMs: atMs + 1 + random.below(of.count), input });
    } else {
      freeMs[client] = atMs + random.fraction() * of.clients;
      made.push({ input, output: apply(input), callMs, returnMs: freeMs[client]! });
    }
  }
  return made;
}

/** The history with one read that gives what an earlier read gave, if there is one to change. */
function withStaleRead(random: SeededRandom, good: RegisterOperation[]): RegisterOperation[] {
  const reads = good.filter((it) => it.input.kind === 'get' && it.output !== undefined);
  if (reads.length === 0) return good;
  const victim = random.pick(reads);
  const earlier = reads.filter(
    (it) => it.input.key === victim.input.key && it.returnMs < victim.callMs,
  );
  const source = earlier.findLast((it) => it.output !== victim.output);
  if (source === undefined) return good;
  return good.map((it) => (it === victim ? { ...it, output: source.output! } : it));
}

test('random histories of a correct map pass, with one read of what was never written they do not', () => {
  for (let seed = 0; seed < 50; seed++) {
    const random = new SeededRandom(seed);
    const good = history(random, { count: 300, clients: 6, keys: 5, unknown: 0.005 });
    expect(checkRegisters(good)).toEqual({ ok: true });
    const reads = good.filter((it) => it.input.kind === 'get' && it.output !== undefined);
    const victim = random.pick(reads);
    const bad = good.map((it) => (it === victim ? { ...it, output: 'never written' } : it));
    expect(checkRegisters(bad).ok).toBe(false);
  }
});

/** Tries every order of one key's operations. */
function explainable(operations: readonly RegisterOperation[], now: string | null = null): boolean {
  if (operations.every((it) => it.output === undefined)) return true;
  const firstReturnMs = Math.min(...operations.map((it) => it.returnMs));
  return operations.some(({ input, output, callMs }, i) => {
    if (callMs > firstReturnMs) return false;
    const rest = operations.filter((_, other) => other !== i);
    const gives = (answer: RegisterOutput, next: string | null): boolean =>
      (output === undefined || output === answer) && explainable(rest, next);
    if (input.kind === 'get') return gives(now, now);
    if (input.kind === 'put') return gives(null, input.value);
    if (input.kind === 'delete') return gives(now !== null, null);
    return input.from === now ? gives(true, input.value) : gives(false, now);
  });
}

/** The history with another answer of one operation. */
function withOneChanged(random: SeededRandom, good: RegisterOperation[]): RegisterOperation[] {
  const victim = random.pick(good);
  const values = good.flatMap(({ input }) => (input.kind === 'put' ? [input.value] : []));
  const { input, output } = victim;
  const other = input.kind === 'get' ? random.pick([null, ...values]) : output !== true;
  if (output === undefined || input.kind === 'put') return good;
  return good.map((it) => (it === victim ? { ...it, output: other } : it));
}

test('the verdict is that of trying every order', () => {
  const verdicts = { true: 0, false: 0 };
  for (let seed = 0; seed < 3_000; seed++) {
    const random = new SeededRandom(seed);
    const good = history(random, { count: 8, clients: 4, keys: 1, unknown: 0.4 });
    const given = random.chance(0.7) ? withOneChanged(random, good) : good;
    const expected = explainable(given);
    verdicts[`${expected}`]++;
    if (checkRegisters(given).ok !== expected)
      throw new Error(`seed ${seed}: ${JSON.stringify(given)}`);
  }
  expect(verdicts.true).toBeGreaterThan(100);
  expect(verdicts.false).toBeGreaterThan(100);
});

test('ten thousand operations', () => {
  const given = history(new SeededRandom(1), {
    count: 10_000,
    clients: 10,
    keys: 5,
    unknown: 0.005,
  });
  expect(checkRegisters(given).ok).toBe(true);
});

test('a history of which a third is unknown comes to a verdict, right or wrong', () => {
  for (let seed = 0; seed < 10; seed++) {
    const random = new SeededRandom(seed);
    const good = history(random, { count: 2_000, clients: 6, keys: 4, unknown: 0.33 });
    expect(checkRegisters(good)).toEqual({ ok: true });
    checkRegisters(withStaleRead(random, good));
  }
});
