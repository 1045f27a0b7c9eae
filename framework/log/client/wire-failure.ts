import { isErrorCode, VarlogError } from '../../base/index.ts';
import type { Failure } from '../../wire/gen/log.ts';

/** A failure that arrived in a message, as an error. A code from a newer version becomes `INTERNAL`. */
export function failureToError({ code, message, outcome, details }: Failure): VarlogError {
  return new VarlogError(isErrorCode(code) ? code : 'INTERNAL', {
    what: isErrorCode(code) ? message : `${code}: ${message}`,
    outcome: outcome === 'notAppended' ? 'notAppended' : 'unknown',
    details: parseDetails(details),
  });
}

function parseDetails(text: string): Record<string, unknown> {
  if (text === '') return {};
  try {
    const parsed: unknown = JSON.parse(text);
    const isObject = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed);
    return isObject ? (parsed as Record<string, unknown>) : { text };
  } catch {
    return { text };
  }
}
