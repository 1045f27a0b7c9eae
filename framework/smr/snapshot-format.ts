import { formatUnknown } from '../base/index.ts';
import { Snapshot as SnapshotMessage } from '../wire/gen/smr.ts';
import type { AdmissionState, EncodedAdmission } from './admission.ts';
import { checkIdentity, type LogIdentity } from './log-identity.ts';

const FORMAT = 2;

/** A state that stands for all entries up to `position`. */
interface State {
  readonly position: number;
  /** The machine's. */
  readonly state: Uint8Array;
}

export type SnapshotContent = AdmissionState & State;

/** Throws where it does not fit into one piece of memory. */
export function encodeSnapshot(
  identity: LogIdentity,
  content: EncodedAdmission & State,
): Uint8Array {
  const { requests, sessions, skipped, skippedTimers, timers, ...rest } = content;
  const skips = { skipped: [...skipped], skippedTimers: [...skippedTimers] };
  const lists = { sessions: [...sessions], timers: [...timers], ...skips };
  const message = SnapshotMessage.create({ ...rest, ...lists, ...identity, format: FORMAT });
  // Fields of a message may come in any order.
  return Buffer.concat([SnapshotMessage.encode(message), ...requests]);
}

/**
 * Throws `LOG_MISMATCH` where it is not the state of `own`, and `FORMAT_UNKNOWN` where another version wrote it. `what` names
 * the snapshot for the reader of the error.
 */
export function decodeSnapshot(bytes: Uint8Array, own: LogIdentity, what: string): SnapshotContent {
  const snapshot = SnapshotMessage.decode(bytes);
  const { format, log, machine } = snapshot;
  if (format !== FORMAT) {
    throw formatUnknown({ what, found: `format ${format}`, reads: `format ${FORMAT}` });
  }
  checkIdentity({ log, machine }, own, what);
  return snapshot;
}
