import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { reasonOf, VarlogError } from '../base/index.ts';
import { checkToken } from '../runtime/index.ts';

/** The rights of others than the owner of a file. */
const OTHERS = 0o077;
/** That of the group to read it. */
const GROUP_READS = 0o040;
const ROOT = 0;

/**
 * The access tokens of a file: one a line, with comments behind `#`. Undefined where no file is named: no tokens. Throws
 * `CONFIG_INVALID` for a file that cannot be read, that others can read, or that has a line which is no token.
 */
export function tokensFromFile(path: string | undefined): string[] | undefined {
  if (path === undefined) return undefined;
  const tokens: string[] = [];
  for (const [i, line] of read(path).split('\n').entries()) {
    const token = line.replace(/(^|\s)#.*/, '').trim();
    if (token === '') continue;
    checkToken(token, `line ${i + 1} of the token file ${path}`);
    tokens.push(token);
  }
  if (tokens.length > 0) return tokens;
  throw new VarlogError('CONFIG_INVALID', {
    what: `the token file ${path} has no token`,
    next: `write one a line into it, for example with "openssl rand -hex 32 >> ${path}"`,
  });
}

function read(path: string): string {
  let rights: number;
  let text: string;
  try {
    const file = openSync(path, 'r');
    try {
      const { mode, uid } = fstatSync(file);
      // What is mounted for a process that is not root belongs to root, and to a group of that process.
      rights = uid === ROOT ? mode & ~GROUP_READS : mode;
      text = readFileSync(file, 'utf8');
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    throw new VarlogError('CONFIG_INVALID', {
      what: `cannot read the token file ${path}`,
      because: reasonOf(cause),
      cause,
    });
  }
  // On Windows a mode says nothing about who may read.
  if (process.platform === 'win32' || (rights & OTHERS) === 0) return text;
  throw new VarlogError('CONFIG_INVALID', {
    what: `others than its owner can use the token file ${path}`,
    next: `run "chmod 600 ${path}"`,
  });
}
