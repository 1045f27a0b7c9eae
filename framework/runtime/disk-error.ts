import { type ErrorCode, VarlogError } from '../base/index.ts';

const TOO_MANY_FILES = 'too many files are open: raise the limit (ulimit -n)';

const KINDS: Record<string, { code: ErrorCode; next: string }> = {
  ENOENT: { code: 'NOT_FOUND', next: 'check the path' },
  EEXIST: { code: 'ALREADY_EXISTS', next: 'check the path' },
  ENOTDIR: {
    code: 'DIRECTORY_UNWRITABLE',
    next: 'choose a folder: part of this path is a file',
  },
  EACCES: { code: 'DIRECTORY_UNWRITABLE', next: 'give this user the right to write there' },
  EPERM: { code: 'DIRECTORY_UNWRITABLE', next: 'give this user the right to write there' },
  EROFS: {
    code: 'DIRECTORY_UNWRITABLE',
    next: 'the file system is read-only: see the kernel log for why, or choose another one',
  },
  ENOSPC: { code: 'DISK_FULL', next: 'free space on this file system' },
  EMFILE: { code: 'DISK_FAILED', next: TOO_MANY_FILES },
  ENFILE: { code: 'DISK_FAILED', next: TOO_MANY_FILES },
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
