import { isTcpAddress, VarlogError } from '../base/index.ts';

/**
 * Throws `INVALID_ARGUMENT` for ids that no thing has: those of the published interface count from 1, and 0 says
 * that none was given. By the names of what they are ids of.
 */
export function checkIds(ids: Readonly<Record<string, number>>): void {
  for (const [name, id] of Object.entries(ids)) {
    if (id >= 1) continue;
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `invalid ${name} ${id}`,
      next: 'ids count from 1',
      outcome: 'notAppended',
    });
  }
}

/**
 * Throws `POSITION_OUT_OF_RANGE` for a position that a number cannot hold exactly: what is done up to another one than was
 * named may remove records. By the names of what they are positions of.
 */
export function checkPositions(positions: Readonly<Record<string, number>>): void {
  for (const [name, position] of Object.entries(positions)) {
    if (Number.isSafeInteger(position)) continue;
    throw new VarlogError('POSITION_OUT_OF_RANGE', {
      what: `${name} ${position} is above 2^53 - 1`,
      next: 'pass a position that an append or a read returned',
      outcome: 'notAppended',
    });
  }
}

/** Throws `INVALID_ARGUMENT` for what nobody can be reached at. */
export function checkAddress(address: string): void {
  if (isTcpAddress(address)) return;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `invalid address "${address}"`,
    next: 'give host:port, with an IPv6 address in brackets',
    outcome: 'notAppended',
  });
}

/** Throws `CLUSTER_MISMATCH` for a request that is meant for another cluster than `own`; 0 says for whichever. */
export function checkCluster(named: number, own: number): void {
  if (named === 0 || named === own) return;
  throw new VarlogError('CLUSTER_MISMATCH', {
    what: `this is cluster ${own}, and not ${named}`,
    next: 'check the cluster id and the address',
  });
}

/** Ids in the order in which the published interface lists what they are ids of. */
export function ascending(ids: Iterable<number>): number[] {
  return [...ids].sort((a, b) => a - b);
}
