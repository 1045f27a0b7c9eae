import type { CommandOutcome } from './command-outcome.ts';
import { envelopeBytes } from './envelope.ts';

const APPEND_BYTES_MAX = 1024 * 1024;
/** See `encodeBatch`. */
const BATCH_FRAME_BYTES = 4;

/** Told what became of a command: why that is not known, or what it came to. */
export type Settle = (error: unknown, outcome?: CommandOutcome) => void;

/** A command that is under way. */
export interface PendingCommand {
  /** Its place among those under way; 0 while there is no room for it. */
  sequence: number;
  session: number;
  readonly requestId: Uint8Array;
  readonly command: Uint8Array;
  bytes: Uint8Array | undefined;
  attempts: number;
  readonly settle: Settle;
}

/** What goes into the next append, and what waits on. What nobody awaits any more goes into neither. */
export function nextBatch(
  waiting: readonly PendingCommand[],
  isAwaited: (pending: PendingCommand) => boolean,
): { batch: PendingCommand[]; rest: PendingCommand[] } {
  const batch: PendingCommand[] = [];
  let bytes = 0;
  let taken = 0;
  for (const pending of waiting) {
    if (batch.length > 0 && bytes + framedBytes(pending) > APPEND_BYTES_MAX) break;
    taken++;
    if (!isAwaited(pending)) continue;
    batch.push(pending);
    bytes += framedBytes(pending);
  }
  return { batch, rest: waiting.slice(taken) };
}

/** Its share of an append: a batch writes its length before it. */
function framedBytes(pending: PendingCommand): number {
  return BATCH_FRAME_BYTES + envelopeBytes(pending);
}
