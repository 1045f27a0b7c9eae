import { onAbort } from './on-abort.ts';

/** See {@link firstAbort}. */
export interface FirstAbort {
  readonly signal: AbortSignal;
  /** The work is done: the signals know of it no more, and this one is never aborted. */
  readonly release: () => void;
}

/**
 * One signal for work that any of several ends: aborted with the reason of the first. To be released when the work is done.
 * `AbortSignal.any` needs no release, but Node.js 20 keeps what it made for as long as one of the signals lives.
 */
export function firstAbort(...signals: readonly (AbortSignal | undefined)[]): FirstAbort {
  const first = new AbortController();
  const forget = signals.map((it) => onAbort(it, () => first.abort(it?.reason)));
  const release = (): void => {
    for (const one of forget) one();
  };
  return { signal: first.signal, release };
}
