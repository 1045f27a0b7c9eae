import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { tokensFromFile } from './token-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'varlog-tokens-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'tokens');

const write = (text: string, mode = 0o600): void => {
  writeFileSync(path, text);
  chmodSync(path, mode);
};

function errorOf(file: string): Error {
  try {
    tokensFromFile(file);
  } catch (error) {
    return error as Error;
  }
  throw new Error('accepted');
}

describe('a file of access tokens', () => {
  test('has one a line, with comments', () => {
    write(
      '# of the clients\n\n  first-token-0123456789  # since May\r\nsecond/token+0123456789==\n#\n',
    );
    expect(tokensFromFile(path)).toEqual(['first-token-0123456789', 'second/token+0123456789==']);
  });

  test('is looked for where one is named only', () => {
    expect(tokensFromFile(undefined)).toBeUndefined();
  });

  test.each([0o604, 0o660, 0o601, 0o620])('is refused with the rights %o', (mode) => {
    write('first-token-0123456789\n', mode);
    const { message } = errorOf(path);
    expect(message).toMatch(/^CONFIG_INVALID: .*chmod 600 /);
    expect(message).toContain(path);
  });

  test.each([0o600, 0o400])('is read with the rights %o', (mode) => {
    write('first-token-0123456789\n', mode);
    expect(tokensFromFile(path)).toHaveLength(1);
  });

  const asRoot = process.getuid?.() === 0 ? test : test.skip;
  asRoot('may be read by its group where it belongs to root, as what is mounted does', () => {
    write('first-token-0123456789\n', 0o440);
    expect(tokensFromFile(path)).toHaveLength(1);
    chownSync(path, 1_000, 1_000);
    expect(errorOf(path).message).toMatch(/^CONFIG_INVALID: .*chmod 600 /);
    chownSync(path, 0, 0);
  });

  test.each<[string, string, RegExp]>([
    ['has no token', '# none yet\n\n', /has no token.*openssl rand/],
    ['is empty', '', /has no token/],
    ['has a short one', '# \nsecret-of-15-ch', /line 2 of .* has 15 characters/],
    ['has one with a space', 'this is my secret token', /line 1 of .* has a character/],
    ['has one beyond ASCII', 'ünsere-token-0123456789', /line 1 of .* has a character/],
  ])('is refused where it %s', (_, text, message) => {
    write(text);
    const error = errorOf(path);
    expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
    expect(error.message).toMatch(message);
    if (text !== '')
      expect(inspect(error, { depth: 9 })).not.toContain(text.split('\n').at(-1) || text);
  });

  test('is refused where it is not there', () => {
    expect(errorOf(join(folder, 'none')).message).toMatch(
      /CONFIG_INVALID: cannot read the token file .*none .*ENOENT/,
    );
  });
});
