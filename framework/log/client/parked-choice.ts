import { VarlogError } from '../../base/index.ts';
import { checkGlsn } from './position-option.ts';

/** Which of the records that a consumer has parked: those at these GLSNs, one or more, or all. */
export type ParkedChoice = readonly number[] | 'all';

/**
 * As the metadata repository is asked, for which no GLSNs at all are all that are parked: a list that came out empty MUST
 * not become that. Throws `INVALID_ARGUMENT` or `POSITION_OUT_OF_RANGE`.
 */
export function chosenParked(choice: ParkedChoice): readonly number[] {
  if (choice === 'all') return [];
  if (!Array.isArray(choice) || choice.length === 0) {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `it is not said which parked records are meant, but ${Array.isArray(choice) ? 'an empty list' : String(choice)} given`,
      next: "give their GLSNs, or 'all'",
    });
  }
  for (const it of choice) checkGlsn(it, 'the GLSN of a parked record');
  return choice;
}
