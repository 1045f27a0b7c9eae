/** Revisions that a condition names. */
export type Revisions = 'any' | readonly number[];

/** What must hold of a key for a write to take place, as HTTP words it (RFC 9110, section 13.1). */
export interface Condition {
  /** The key has one of these revisions; `any`: it exists. */
  ifMatch?: Revisions;
  /** The key has none of these revisions; `any`: it does not exist. */
  ifNoneMatch?: Revisions;
}

/** Whether `condition` holds of a key with this revision; 0: there is no such key. */
export function holds({ ifMatch, ifNoneMatch }: Condition, revision: number): boolean {
  if (ifMatch !== undefined && !isAmong(ifMatch, revision)) return false;
  return ifNoneMatch === undefined || !isAmong(ifNoneMatch, revision);
}

function isAmong(revisions: Revisions, revision: number): boolean {
  if (revision === 0) return false;
  return revisions === 'any' || revisions.includes(revision);
}
