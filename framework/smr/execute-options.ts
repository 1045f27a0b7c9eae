import {
  checkLimits,
  checkNames,
  checkWord,
  type LogCallOptions,
  type OptionNames,
  VarlogError,
} from '../base/index.ts';
import { REQUEST_ID_BYTES_MAX } from './envelope.ts';

const NOTHING = new Uint8Array();

export interface ExecuteOptions extends LogCallOptions {
  /**
   * The caller's own name for this request, at most 256 bytes: a command with an id that was used before takes no
   * effect and gets the result of the first, from whichever replica and process it comes. Kept for 24 hours of the
   * log's time and up to 64 MiB (`requests` of the replica). With another command: `REQUEST_MISMATCH`.
   */
  requestId?: string;
  /**
   * Where too much waits for the log already (`queueBytesMax` of the replica): `fail` rejects at once with
   * `RESOURCE_EXHAUSTED`; `wait` takes its turn behind those that came before, within the limits of the call. As much as fits into
   * the queue may wait for it; what is beyond that is refused. Default: `fail`.
   */
  whenFull?: 'wait' | 'fail';
}

const NAMES: OptionNames<ExecuteOptions> = {
  requestId: true,
  whenFull: true,
  timeoutMs: true,
  signal: true,
};

const SPECULATE_NAMES: OptionNames<ExecuteOptions> = { ...NAMES, whenFull: false };

/** Throws `INVALID_ARGUMENT` for an option that a speculation does not have. */
export function checkSpeculate(options: Omit<ExecuteOptions, 'whenFull'>): void {
  checkNames<ExecuteOptions>(options, SPECULATE_NAMES, 'speculate');
}

/** Throws `INVALID_ARGUMENT`. Returns the request id as bytes. */
export function checkedRequestId(options: ExecuteOptions): Uint8Array {
  // With a misspelt `requestId` a command that is repeated would take effect again.
  checkNames(options, NAMES, 'execute');
  checkLimits(options);
  checkWord(options.whenFull, 'whenFull', ['wait', 'fail']);
  return requestIdBytes(options.requestId);
}

function requestIdBytes(requestId: string | undefined): Uint8Array {
  if (requestId === undefined) return NOTHING;
  // What is no text would become one that many others become too, such as "null".
  const bytes = typeof requestId === 'string' ? Buffer.from(requestId) : NOTHING;
  if (bytes.length > 0 && bytes.length <= REQUEST_ID_BYTES_MAX) return bytes;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `a request id ${typeof requestId === 'string' ? `has ${bytes.length} bytes` : 'is no text'}`,
    next: `give a text of 1 to ${REQUEST_ID_BYTES_MAX} bytes, or none where the command may be repeated`,
    outcome: 'notAppended',
  });
}
