import { isWhole, shown, VarlogError } from '../../base/index.ts';

/** The largest id of the cluster's objects, and count of replicas: a larger one would be another one on the wire. */
const INT32_MAX = 2 ** 31 - 1;

/**
 * Throws `INVALID_ARGUMENT` unless it is a whole number from 1 to `most`. On the wire there are whole numbers only: what is
 * none would come out as another one there, or as 0, which stands for all.
 */
export function checkWhole(value: unknown, name: string, most = INT32_MAX): void {
  if (isWhole(value, 1, most)) return;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `${name} is ${shown(value)}: it must be a whole number from 1 to ${most}`,
    next: 'see "varlog status" and "varlog topic describe" for what there is',
    outcome: 'notAppended',
  });
}
