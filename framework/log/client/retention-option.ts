import { checkNames, VarlogError } from '../../base/index.ts';
import { type Retention, refusalOfRetention } from '../core/index.ts';
import { RETENTION_NAMES } from './option-names.ts';

/** Throws `INVALID_ARGUMENT` for what is no retention. On the wire there are whole numbers only. */
export function checkRetention(retention: Retention): void {
  // With a name that is not known it would keep all.
  checkNames(retention, RETENTION_NAMES, 'a retention');
  const refusal = refusalOfRetention(retention);
  if (refusal === undefined) return;
  const { code, what, next } = refusal;
  throw new VarlogError(code, { what, next, outcome: 'notAppended' });
}
