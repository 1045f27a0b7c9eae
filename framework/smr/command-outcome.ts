import { type Codec, formatUnknown, VarlogError } from '../base/index.ts';

/** Why a command has no result, although it is decided. */
const REFUSALS = ['requestMismatch', 'skipped', 'unencodable'] as const;
export type Refusal = (typeof REFUSALS)[number];

/**
 * What a command came to: its result, encoded when it was made, so that it can be kept whatever it holds and nobody who
 * is given it can change the machine; or why there is none.
 */
export type CommandOutcome = Uint8Array | Refusal;

/** The result. Throws the error that stands for a refusal. */
export function resultOf<Result>(outcome: CommandOutcome, codec: Codec<Result>): Result {
  if (typeof outcome !== 'string') return codec.decode(outcome);
  if (outcome === 'requestMismatch') {
    throw new VarlogError('REQUEST_MISMATCH', {
      what: 'the request id was used before, for another command',
      next: 'give each request an id of its own; repeat a request with the command that it had',
      outcome: 'notAppended',
    });
  }
  if (outcome === 'skipped') {
    throw new VarlogError('APPLY_FAILED', {
      what: 'the command was passed over, because an operator ordered it',
      because: 'the machine could not apply it',
      next: 'correct the machine or the command before it is sent again',
      outcome: 'notAppended',
    });
  }
  throw new VarlogError('INTERNAL', {
    what: 'the command took effect, but its result cannot be encoded',
    because:
      'the codec of results threw, or gave no bytes; JSON, the default, takes neither a bigint nor a cycle',
    next: 'give the replicas a `codec.result` that takes every result of the machine',
    outcome: 'unknown',
  });
}

/** As it is kept: the fields of a stored result. */
export function encodeOutcome(outcome: CommandOutcome): { result?: Uint8Array; refusal?: string } {
  return typeof outcome === 'string' ? { refusal: outcome } : { result: outcome };
}

export function decodeOutcome(stored: { result: Uint8Array; refusal: string }): CommandOutcome {
  // A copy: it would keep the whole snapshot in memory that it is part of.
  if (stored.refusal === '') return new Uint8Array(stored.result);
  const known = REFUSALS.find((it) => it === stored.refusal);
  if (known !== undefined) return known;
  const found = `the refusal "${stored.refusal}"`;
  throw formatUnknown({ what: 'a stored result', found, reads: REFUSALS.join(', ') });
}
