import { jsonCodec } from '../../smr/index.ts';
import { Sum } from '../../smr/sum.fixture.ts';
import { AppliedHistory, type AppliedStep, type CommandCall, type QueryCall } from './history.ts';
import { subjectOf } from './machine-source.ts';
import { StateBytes } from './state-bytes.ts';

const codec = jsonCodec<number>();
const states = new StateBytes<number>(codec);
const step = (position: number, number: number, value: number, replica = 'r1'): AppliedStep => ({
  ...{ index: 0, timer: undefined },
  position,
  number,
  replica,
  time: 0,
  command: codec.encode(1),
  result: codec.encode(value),
  state: states.encode(value),
});
const answered = (
  number: number,
  calledMs: number,
  returnedMs: number,
  value: number,
): CommandCall => ({
  number,
  calledMs,
  returnedMs,
  state: 'answered',
  result: codec.encode(value),
});

function historyOf(steps: AppliedStep[]): AppliedHistory {
  const history = new AppliedHistory(subjectOf(Sum, undefined));
  for (const it of steps) history.apply(it);
  return history;
}

const both = [step(2, 1, 1), step(3, 2, 2)];
const LOST: [string, AppliedStep[], CommandCall[], QueryCall[], RegExp][] = [
  [
    'a command that took effect twice',
    [...both, step(4, 1, 3)],
    [],
    [],
    /#1 took effect twice, at positions 2 and 4/,
  ],
  [
    'one that was acknowledged and is lost',
    both,
    [answered(9, 1, 2, 1)],
    [],
    /#9 was acknowledged, and is lost/,
  ],
  [
    'one that was refused for certain and took effect',
    both,
    [{ number: 1, calledMs: 1, returnedMs: Infinity, state: 'refused' }],
    [],
    /#1 was refused for certain/,
  ],
  [
    'an answer that is not its result',
    both,
    [answered(1, 1, 2, 7)],
    [],
    /result is 7 as its caller was told and 1 in the log/,
  ],
  [
    'one that came before another that had been acknowledged before it began',
    both,
    [answered(2, 1, 2, 2), answered(1, 3, 4, 1)],
    [],
    /command #1 came to position 2, and did not see command #2/,
  ],
  [
    'a query that did not see what had been acknowledged',
    both,
    [answered(1, 1, 2, 1), answered(2, 3, 4, 2)],
    [{ replica: 'r2', calledMs: 5, position: 2 }],
    /a query at replica r2 came to position 2, and did not see command #2/,
  ],
];

test.each(LOST)('%s is found', (_, steps, commands, queries, says) => {
  const history = historyOf(steps);
  expect(() => history.check({ commands, queries })).toThrow(says);
});

test('what overlaps may come in any order, and what nobody knows of may be there or not', () => {
  const history = historyOf([...both, step(4, 0, 3), step(5, 0, 4)]);
  const open = { calledMs: 1, returnedMs: Infinity, state: 'unknown' } as const;
  const commands = [answered(2, 1, 5, 2), { ...open, number: 1 }, { ...open, number: 8 }];
  const queries = [
    { replica: 'r1', calledMs: 4, position: 0 },
    { replica: 'r1', calledMs: 6, position: 3 },
  ];
  expect(() => history.check({ commands, queries })).not.toThrow();
});

test('replicas that differ at a position are found, also where one was restored between others', () => {
  const history = historyOf(both);
  expect(() => history.apply(step(3, 2, 5, 'r2'))).toThrow(
    /position 3: result is 2 at replica r1 and 5 at replica r2/,
  );
  history.apply(step(3, 2, 2, 'r3'));
  history.apply(step(7, 3, 3));
  const two = states.encode(2);
  expect(() => history.restore('r2', 6, two)).not.toThrow();
  expect(() => history.restore('r2', 7, two)).toThrow(/restored from a snapshot/);
  expect(() => history.restore('r2', 1, two)).not.toThrow();
});
