import { checkWord } from '../base/index.ts';

/**
 * What an append suffers. `refused`: it certainly takes no effect. With the others its outcome is not known: it took
 * effect, takes effect after the append that follows it, or is lost.
 */
export type AppendFault = 'refused' | 'unknownApplied' | 'unknownLate' | 'unknownLost';

export const APPEND_FAULTS: readonly AppendFault[] = [
  'refused',
  'unknownApplied',
  'unknownLate',
  'unknownLost',
];

/** Throws `INVALID_ARGUMENT` for what is none of them: an append would suffer something else. */
export function checkFaults(faults: readonly AppendFault[]): void {
  for (const it of faults) checkWord(it ?? null, 'an append fault', APPEND_FAULTS);
}
