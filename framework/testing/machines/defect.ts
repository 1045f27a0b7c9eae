import { type ErrorParts, VarlogError } from '../../base/index.ts';

/**
 * What is wrong with a machine.
 *
 * - `threw`: it threw at a command, or answered with a promise, or with what its codec cannot encode.
 * - `nondeterministic`: the same commands led to something else.
 * - `snapshot`: a machine that was restored from a snapshot goes on otherwise than the one that made it.
 * - `fork`: a fork is in another state than the machine was, or one of the two sees what the other does.
 * - `sharedResult`: a result changed after it was given out.
 * - `invariant`: the invariant of the test does not hold.
 * - `lost`: what was acknowledged did not take effect once, in its order, or a query did not see it.
 * - `stuck`: something did not end.
 */
export type DefectKind =
  | 'threw'
  | 'nondeterministic'
  | 'snapshot'
  | 'fork'
  | 'sharedResult'
  | 'invariant'
  | 'lost'
  | 'stuck';

/** The error of a test that found something: `details.kind` is a {@link DefectKind}, `details.position` where it shows. */
export function defect(
  kind: DefectKind,
  position: number,
  parts: Pick<ErrorParts, 'what' | 'because' | 'next' | 'cause'>,
): VarlogError {
  return new VarlogError('MACHINE_DEFECT', { ...parts, details: { kind, position } });
}
