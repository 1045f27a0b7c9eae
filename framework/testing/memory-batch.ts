import type { Headers } from '../base/index.ts';
import type { AppendCondition } from '../log/core/index.ts';

/** Where records go that name none. */
export const LOG_STREAM = 1;

/** Records that are appended to one log stream side by side. */
export interface MemoryBatch {
  readonly logStream: number;
  readonly records: readonly Uint8Array[];
  /** Headers of some of the records. */
  readonly headers: ReadonlyMap<number, Headers> | undefined;
  readonly condition: AppendCondition | undefined;
}
