import { type AppendRecord, checkTotalOrder, type ReadRecord } from './total-order.ts';

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
