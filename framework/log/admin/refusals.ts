import { VarlogError } from '../../base/index.ts';

/** What those are told who ask the published service for something that it does not have. */
export function nothing(
  code: 'NOT_FOUND' | 'TOPIC_NOT_FOUND' | 'LOG_STREAM_NOT_FOUND',
  kind: string,
  id: number,
): VarlogError {
  return new VarlogError(code, { what: `there is no ${kind} ${id}`, next: 'list which there are' });
}

/** A field that must be set is not. */
export function missing(field: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', { what: `${field} is missing`, next: `set ${field}` });
}
