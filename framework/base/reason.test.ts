import fc from 'fast-check';
import { VarlogError } from './errors.ts';
import { asVarlogError, reasonOf } from './reason.ts';

describe('reasonOf', () => {
  test('is the message of an error, and the text of anything else', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(reasonOf(new Error(text))).toBe(text);
        expect(reasonOf(new TypeError(text))).toBe(text);
        expect(reasonOf(text)).toBe(text);
      }),
    );
    expect(reasonOf(undefined)).toBe('undefined');
    expect(reasonOf(7)).toBe('7');
  });

  test('within another error, a sentence has no full stop of its own', () => {
    const cause = new VarlogError('UNAVAILABLE', { what: 'nobody is there', next: 'wait' });
    const error = new VarlogError('TIMEOUT', {
      what: 'no answer',
      because: reasonOf(cause),
      next: 'try again',
    });
    expect(error.message).toBe(
      'TIMEOUT: no answer (UNAVAILABLE: nobody is there; wait); try again.',
    );
  });
});

describe('what cannot say what it is', () => {
  class Silent extends Error {
    override get message(): string {
      throw new TypeError('no message');
    }
  }
  const told = 'something was thrown that does not say what it is';

  test.each([
    ['an object without a prototype', Object.create(null)],
    ['an error whose message throws', new Silent()],
    [
      'an object whose text throws',
      {
        toString: () => {
          throw new Error('no text');
        },
      },
    ],
  ])('%s has a reason all the same', (_, thrown) => {
    expect(reasonOf(thrown)).toBe(told);
    const error = asVarlogError(thrown);
    expect(error.message).toBe(`INTERNAL: ${told}.`);
    expect(error.cause).toBe(thrown);
  });

  test('a message that is no text is made one', () => {
    const error = Object.assign(new Error(), { message: 7 });
    expect(reasonOf(error)).toBe('7');
  });
});

describe('asVarlogError', () => {
  test('keeps an error of this package as it is, and names what any other one says', () => {
    const ours = new VarlogError('SEALED', { what: 'closed' });
    expect(asVarlogError(ours)).toBe(ours);
    const cause = new TypeError('no such thing');
    expect(asVarlogError(cause)).toMatchObject({ code: 'INTERNAL', cause });
    expect(asVarlogError(cause).message).toBe('INTERNAL: TypeError: no such thing.');
  });
});
