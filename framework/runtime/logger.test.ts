import { VarlogError } from '../base/index.ts';
import { jsonLogger } from './logger.ts';

describe('the JSON logger', () => {
  const record = (level: Parameters<typeof jsonLogger>[0]) => {
    const lines: string[] = [];
    return { lines, logger: jsonLogger(level, (line) => lines.push(line)) };
  };

  test('writes one line from its level upwards', () => {
    const { lines, logger } = record('warn');
    logger.log('info', 'too small');
    logger.log('warn', 'disk slow', { ms: 12 });
    logger.log('error', 'disk gone');
    expect(lines).toHaveLength(2);
    expect(JSON.parse(lines[0]!)).toMatchObject({ level: 'warn', event: 'disk slow', ms: 12 });
    expect(lines[0]!.indexOf('\n')).toBe(lines[0]!.length - 1);
  });

  test('writes nothing when silent', () => {
    const { lines, logger } = record('silent');
    logger.log('error', 'disk gone');
    expect(lines).toEqual([]);
  });

  test('has words for errors, and for what JSON cannot say', () => {
    const { lines, logger } = record('debug');
    logger.log('error', 'failed', { error: new VarlogError('SEALED', { what: 'no more' }), n: 1n });
    expect(JSON.parse(lines[0]!)).toMatchObject({
      error: { code: 'SEALED', message: 'SEALED: no more.' },
      n: '1',
    });
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    logger.log('info', 'round', { circle });
    expect(JSON.parse(lines[1]!)).toMatchObject({ event: 'round' });
    const dumb = {
      toJSON: () => {
        throw Object.create(null);
      },
    };
    logger.log('info', 'dumb', { dumb });
    expect(JSON.parse(lines[2]!)).toMatchObject({ event: 'dumb' });
  });
});
