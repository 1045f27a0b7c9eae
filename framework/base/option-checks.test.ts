import { checkCount, checkGivenCount, checkGivenNumber, checkNumber } from './option-checks.ts';

const CHECKS: [string, (value: unknown) => void, { whole: boolean; given: boolean }][] = [
  ['checkNumber', (it) => checkNumber(it, 'size', 2), { whole: false, given: false }],
  ['checkGivenNumber', (it) => checkGivenNumber(it, 'size', 2), { whole: false, given: true }],
  ['checkCount', (it) => checkCount(it, 'size', 2, 9), { whole: true, given: false }],
  ['checkGivenCount', (it) => checkGivenCount(it, 'size', 2, 9), { whole: true, given: true }],
];

test.each(CHECKS)('%s takes what it says, and says what it takes', (_, check, { whole, given }) => {
  for (const value of whole ? [2, 9] : [2, 2.5, Infinity]) expect(() => check(value)).not.toThrow();
  const wanted = `${whole ? 'whole number from 2 to 9' : 'number from 2 on'}${given ? '' : ', or leave it out'}.`;
  const refused = [
    1,
    Number.NaN,
    '3',
    null,
    ...(whole ? [2.5, 10] : []),
    ...(given ? [undefined] : []),
  ];
  for (const value of refused) {
    expect(() => check(value)).toThrow(
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        message: expect.stringMatching(
          new RegExp(`size is .*: give a ${wanted}$|size is .*give a ${wanted}$`),
        ),
      }),
    );
  }
  if (!given) expect(() => check(undefined)).not.toThrow();
});
