import { Failure } from '../../wire/gen/log.ts';
import { failureToError } from './wire-failure.ts';

const failure = (fields: Partial<Failure>) =>
  failureToError(Failure.create({ code: 'SEALED', message: 'sealed', ...fields }));

test('a failure keeps its code, outcome and details', () => {
  const details = JSON.stringify({ logStreamId: 3 });
  const error = failure({ outcome: 'notAppended', details });
  const { code, outcome, details: found } = error;
  expect({ code, outcome, found }).toEqual({
    code: 'SEALED',
    outcome: 'notAppended',
    found: { logStreamId: 3 },
  });
});

test('a code of a newer version is named, and promises nothing', () => {
  const error = failure({ code: 'MELTED', message: 'too hot', outcome: 'perhaps' });
  expect(error).toMatchObject({ code: 'INTERNAL', outcome: 'unknown', retryable: false });
  expect(error.message).toContain('MELTED: too hot');
});

test.each(['{"cut', 'null', '7', '"text"', '[1]'])('details that are no object: %s', (details) => {
  expect(failure({ details }).details).toEqual({ text: details });
});

test('no details', () => {
  expect(failure({}).details).toEqual({});
});
