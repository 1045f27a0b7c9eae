import { atomicOf } from '../../base/index.ts';
import { frameEnd, type SegmentedLog } from '../../store/index.ts';
import type { WaitingParts } from '../core/index.ts';

/** Records that are read at once when a replica is opened. */
const SCAN_BYTES = 1024 * 1024;

/** Notes the parts of atomic appends among the records after LLSN `committedEnd`. */
export async function noteWaitingParts(
  parts: WaitingParts,
  records: SegmentedLog,
  committedEnd: number,
): Promise<void> {
  for (let next = Math.max(committedEnd + 1, records.first); next <= records.end; ) {
    for (const frame of await records.read(next, SCAN_BYTES)) {
      const { position: llsn, count, payload: bytes } = frame;
      const end = frameEnd(frame);
      const atomic = atomicOf({ count, bytes });
      if (atomic !== undefined) parts.note({ ...atomic, llsn, end });
      next = end + 1;
    }
  }
}
