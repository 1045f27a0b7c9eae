import { VarlogError } from './errors.ts';
import { advance, glsn } from './position.ts';

describe('errors', () => {
  test('say what happened, why and what to do next', () => {
    const error = new VarlogError('UNREACHABLE', {
      what: 'no node answered at 127.0.0.1:1',
      because: 'connection refused',
      next: 'start one with "varlog up"',
    });
    expect(error.message).toBe(
      'UNREACHABLE: no node answered at 127.0.0.1:1 (connection refused); start one with "varlog up".',
    );
    expect(error.retryable).toBe(true);
  });

  test('have one full stop, also where they quote another sentence', () => {
    const { message } = new VarlogError('CLOSED', { what: 'it is closed', next: 'open it' });
    const quoting = (parts: object) =>
      new VarlogError('TIMEOUT', { what: `no answer: ${message}`, ...parts }).message;
    expect(quoting({})).toBe('TIMEOUT: no answer: CLOSED: it is closed; open it.');
    expect(quoting({ because: message, next: message })).toBe(
      'TIMEOUT: no answer: CLOSED: it is closed; open it (CLOSED: it is closed; open it); CLOSED: it is closed; open it.',
    );
    // A folder is no end of a sentence.
    expect(new VarlogError('NOT_FOUND', { what: 'nothing is in ..' }).message).toMatch(
      /in \.\.\.$/,
    );
  });

  test('are recognised across copies of the package', () => {
    const foreign = { [Symbol.for('varlog.error')]: true, code: 'SEALED' };
    expect(VarlogError.is(foreign, 'SEALED')).toBe(true);
    expect(VarlogError.is(foreign, 'TRIMMED')).toBe(false);
    expect(VarlogError.is(new Error('SEALED'))).toBe(false);
  });

  test('do not wrap their sentence again after a trip over the wire', () => {
    const first = new VarlogError('SEALED', { what: 'log stream 3 is sealed' });
    expect(new VarlogError('SEALED', { what: first.message }).message).toBe(first.message);
  });
});

describe('positions', () => {
  test.each([-1, 0.5, 2 ** 53, Number.NaN, 18446744073709552000])('%p is refused', (value) => {
    expect(() => glsn(value)).toThrow(/POSITION_OUT_OF_RANGE/);
  });

  test('move by whole steps and never out of range', () => {
    expect(advance(glsn(41))).toBe(42);
    expect(advance(glsn(41), -1)).toBe(40);
    expect(() => advance(glsn(2 ** 53 - 1))).toThrow(/POSITION_OUT_OF_RANGE/);
    expect(() => advance(glsn(0), -1)).toThrow(/POSITION_OUT_OF_RANGE/);
  });
});
