import { type Outcome, VarlogError } from './errors.ts';

/** What was met, and what can be read here. */
export interface UnknownFormat {
  /** What has the unknown format, and where it is: `the frame at byte 4096 of streams/3/…segment`. */
  readonly what: string;
  /** What it says of itself: `version 3`, `flag 0x04`. */
  readonly found: string;
  /** What this version of the package reads: `versions 1 and 2`. */
  readonly reads: string;
  /** The file, where it is in one. */
  readonly path?: string;
  /** For what was to be written. */
  readonly outcome?: Outcome;
}

/**
 * Something was written by a later version of this package. That is no damage: whoever meets it leaves
 * it as it is, and neither cuts nor rebuilds anything.
 */
export function formatUnknown(it: UnknownFormat): VarlogError {
  const { what, found, reads, path, outcome } = it;
  const kept = path === undefined ? '' : ' (the file was left as it is)';
  return new VarlogError('FORMAT_UNKNOWN', {
    what: `${what} has ${found}, and this version of the package reads ${reads}`,
    because: 'a later version wrote it',
    next: `upgrade to the version that wrote it, or a later one${kept}`,
    ...(outcome === undefined ? {} : { outcome }),
    details: path === undefined ? { found, reads } : { path, found, reads },
  });
}
