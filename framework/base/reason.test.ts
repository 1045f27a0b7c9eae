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

describe('asVarlogError', () => {
  test('keeps an error of this package as it is, and names what any other one says', () => {
    const ours = new VarlogError('SEALED', { what: 'closed' });
    expect(asVarlogError(ours)).toBe(ours);
    const cause = new TypeError('no such thing');
    expect(asVarlogError(cause)).toMatchObject({ code: 'INTERNAL', cause });
    expect(asVarlogError(cause).message).toBe('INTERNAL: TypeError: no such thing.');
  });
});
