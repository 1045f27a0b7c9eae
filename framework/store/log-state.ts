import { formatUnknown } from '../base/index.ts';
import { getUint64, setUint64, viewOf } from './frame.ts';
import type { ValueFormat } from './state-file.ts';

/** The few facts of a log that its segments do not tell. */
export interface LogState {
  /** Only segments of this generation belong to the log. */
  readonly generation: number;
  /** The first position that was not dropped. */
  readonly first: number;
  /** Everything up to here had been synced when this was written. */
  readonly durable: number;
  /** There is a segment that begins here, or a newer one. */
  readonly newest: number;
}

/** How a log stands to which nothing was written. */
export const INITIAL_STATE: LogState = { generation: 1, first: 1, durable: 0, newest: 1 };

const STATE_BYTES = 32;

export const logStateFormat: ValueFormat<LogState> = { encode, decode };

function encode(state: LogState): Uint8Array {
  const bytes = new Uint8Array(STATE_BYTES);
  const view = viewOf(bytes);
  setUint64(view, 0, state.generation);
  setUint64(view, 8, state.first);
  setUint64(view, 16, state.durable);
  setUint64(view, 24, state.newest);
  return bytes;
}

/** That of a later version has another length. */
function decode(bytes: Uint8Array, path: string): LogState {
  if (bytes.length !== STATE_BYTES) {
    const [found, reads] = [`${bytes.length} bytes`, `states of ${STATE_BYTES} bytes`];
    throw formatUnknown({ what: `the state in ${path}`, path, found, reads });
  }
  const view = viewOf(bytes);
  return {
    generation: getUint64(view, 0),
    first: getUint64(view, 8),
    durable: getUint64(view, 16),
    newest: getUint64(view, 24),
  };
}
