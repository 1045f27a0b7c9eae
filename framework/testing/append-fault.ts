/**
 * What an append suffers. `refused`: it certainly takes no effect. With the others its outcome is not known: it took
 * effect, takes effect after the append that follows it, or is lost.
 */
export type AppendFault = 'refused' | 'unknownApplied' | 'unknownLate' | 'unknownLost';
