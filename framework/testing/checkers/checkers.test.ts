import { SeededRandom } from '../simulator/random.ts';
import {
  checkLinearizable,
  type Operation,
  type RegisterInput,
  type RegisterOutput,
  registerModel,
} from './linearizability.ts';
import { type AppendRecord, checkTotalOrder, type ReadRecord } from './total-order.ts';

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
])('linearizability: %s', (_, ok, history) => {
  expect(checkLinearizable(registerModel, history).ok).toBe(ok);
});

/** Clients of a map that does each operation at one moment. */
function history(random: SeededRandom, count: number, clients: number): RegisterOperation[] {
  const map = new Map<string, string>();
  const freeMs = new Array<number>(clients).fill(0);
  const made: RegisterOperation[] = [];
  for (let atMs = 1; made.length < count; atMs++) {
    const client = random.below(clients);
    const callMs = Math.max(freeMs[client]!, atMs - random.fraction() * clients);
    if (callMs >= atMs) continue;
    const key = `k${random.below(5)}`;
    const now = map.get(key) ?? null;
    const unknown = random.chance(0.005);
    const returnMs = unknown ? Infinity : atMs + random.fraction() * clients;
    freeMs[client] = unknown ? atMs : returnMs;
    const end = (input: RegisterInput, output: RegisterOutput): void =>
      void made.push(unknown ? { input, callMs, returnMs } : { input, output, callMs, returnMs });
    const kind = random.pick(['get', 'put', 'cas', 'delete'] as const);
    if (kind === 'get') end({ kind, key }, now);
    else if (kind === 'put') end({ kind, key, value: `${atMs}` }, null);
    else if (kind === 'delete') end({ kind, key }, null);
    else end({ kind, key, from: now, to: `${atMs}` }, true);
    if (kind === 'delete') map.delete(key);
    else if (kind !== 'get') map.set(key, `${atMs}`);
  }
  return made;
}

test('linearizability: random histories of a correct map pass, with one read changed they do not', () => {
  for (let seed = 0; seed < 50; seed++) {
    const random = new SeededRandom(seed);
    const good = history(random, 300, 6);
    expect(checkLinearizable(registerModel, good)).toEqual({ ok: true });
    const reads = good.flatMap((it, i) =>
      it.input.kind === 'get' && it.returnMs !== Infinity ? [i] : [],
    );
    const victim = random.pick(reads);
    const bad = good.map((it, i) => (i === victim ? { ...it, output: 'never written' } : it));
    expect(checkLinearizable(registerModel, bad).ok).toBe(false);
  }
});

test('linearizability: ten thousand operations', () => {
  expect(checkLinearizable(registerModel, history(new SeededRandom(1), 10_000, 10)).ok).toBe(true);
});

describe('total order', () => {
  const ok = (values: string[], sentMs: number, ackMs: number, glsn: number): AppendRecord => ({
    values,
    sentMs,
    outcome: { kind: 'ok', ackMs, glsn },
  });
  const appends: AppendRecord[] = [
    ok(['a', 'b'], 0, 1, 1),
    ok(['c'], 2, 3, 3),
    { values: ['d'], sentMs: 3, outcome: { kind: 'unknown' } },
    { values: ['e'], sentMs: 3, outcome: { kind: 'notAppended' } },
  ];
  const at = (glsn: number, logStream: number, llsn: number, value: string): ReadRecord => ({
    glsn,
    logStream,
    llsn,
    value,
  });
  const log = [at(1, 1, 1, 'a'), at(2, 1, 2, 'b'), at(3, 2, 1, 'c'), at(4, 1, 3, 'd')];

  test('a right one has no problems', () => {
    expect(checkTotalOrder(appends, [log, log.slice(1, 3)])).toEqual([]);
    expect(checkTotalOrder(appends, [log.slice(0, 3)])).toEqual([]);
  });

  test.each<[string, AppendRecord[], ReadRecord[][]]>([
    ['belongs', appends, [[log[0]!, log[1]!, at(4, 2, 1, 'c')]]],
    ['LLSN', appends, [[log[0]!, log[1]!, at(3, 2, 2, 'c')]]],
    ['but is at undefined', appends, [log.slice(0, 2)]],
    ['failed, but is there', appends, [[...log, at(5, 1, 4, 'e')]]],
    ['never sent', appends, [[...log, at(5, 1, 4, 'ghost')]]],
    ['twice', appends, [[...log, at(5, 1, 4, 'd')]]],
    [
      'only in part',
      [...appends, { values: ['f', 'g'], sentMs: 5, outcome: { kind: 'unknown' } }],
      [[...log, at(5, 1, 4, 'f')]],
    ],
    ['not contiguous', [ok(['a', 'b'], 0, 1, 1)], [[log[0]!, at(2, 2, 1, 'b')]]],
    ['another record', appends, [log, [at(3, 2, 1, 'x')]]],
    ['saw GLSN 1 after 2', appends, [log, [log[1]!, log[0]!]]],
    ['was sent after', [ok(['a'], 5, 6, 1), ok(['b'], 0, 1, 2)], [[log[0]!, log[1]!]]],
  ])('finds: %s', (problem, given, reads) => {
    expect(checkTotalOrder(given, reads).join('\n')).toContain(problem);
  });
});
