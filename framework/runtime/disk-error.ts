import { type ErrorCode, VarlogError } from '../base/index.ts';

/** As with a full disk, nothing was done, nothing is in doubt, and it may be tried again. */
const TOO_MANY_FILES = {
  code: 'DISK_FULL',
  next: 'too many files are open: raise the limit (ulimit -n)',
} as const;

const KINDS: Record<string, { code: ErrorCode; next: string }> = {
  ENOENT: { code: 'NOT_FOUND', next: 'check the path' },
  EEXIST: { code: 'ALREADY_EXISTS', next: 'check the path' },
  ENOTDIR: {
    code: 'DIRECTORY_UNWRITABLE',
    next: 'choose a folder: part of this path is a file',
  },
  EACCES: { code: 'DIRECTORY_UNWRITABLE', next: 'give this user the right to write there' },
  EPERM: { code: 'DIRECTORY_UNWRITABLE', next: 'give this user the right to write there' },
  EISDIR: {
    code: 'DISK_FAILED',
    next: 'a folder lies where a file belongs: move it away and put the file back, or replace the node',
  },
  ELOOP: {
    code: 'DIRECTORY_UNWRITABLE',
    next: 'symbolic links on this path lead in a circle: mend them',
  },
  ENAMETOOLONG: { code: 'DIRECTORY_UNWRITABLE', next: 'choose a folder with a shorter path' },
  EROFS: {
    code: 'DIRECTORY_UNWRITABLE',
    next: 'the file system is read-only: see the kernel log for why, or choose another one',
  },
  ENOSPC: { code: 'DISK_FULL', next: 'free space on this file system' },
  EMFILE: TOO_MANY_FILES,
  ENFILE: TOO_MANY_FILES,
  // A limit of the process or of the file system. Another process can raise the first one while this one waits.
  EFBIG: {
    code: 'DISK_FULL',
    next: 'a file may not grow so large: raise the limit (ulimit -f), or use another file system',
  },
  EDQUOT: { code: 'DISK_FULL', next: 'free space: the quota is used up' },
};

/** Says in our words what the operating system said of `path`. */
export function diskError(path: string, error: unknown): VarlogError {
  if (VarlogError.is(error)) return error;
  const { code: errno = 'unknown', message } = error as NodeJS.ErrnoException;
  const kind = KINDS[errno] ?? {
    code: 'DISK_FAILED' as const,
    next: 'the disk may be failing: see the kernel log',
  };
  return new VarlogError(kind.code, {
    what: `${path}: ${errno}`,
    because: message,
    next: kind.next,
    details: { path, errno },
    cause: error,
  });
}
