import { formatUnknown } from '../base/index.ts';
import type { Frame } from './frame.ts';

/** A frame of one of the logs; `moved` when it was written before and is written again. */
export interface FrameRecord {
  readonly kind: 'frame';
  readonly log: number;
  readonly moved: boolean;
  readonly frame: Frame;
}

/** How a log stands from here on: nothing of it is outside of `first` … `end`. */
export interface StateRecord {
  readonly kind: 'state';
  readonly log: number;
  readonly first: number;
  readonly end: number;
  /** The frames that were moved from this record of the journal on take the place of the older ones; 0 for none. */
  readonly movedFrom: number;
  readonly label: string;
  readonly value: Uint8Array | undefined;
}

const FRAME_HEADER_BYTES = 25;
const STATE_HEADER_BYTES = 33;
const FRAME = 1;
const MOVED_FRAME = 2;
const STATE = 3;
const STATE_WITHOUT_VALUE = 4;

/**
 * A record, little endian: kind (uint8), log (uint32), and then, by the kind, which stands for this layout and so for
 * its version,
 * - a frame: position (float64), count (uint32), epoch (float64), payload; its timestamp is that of the journal's frame;
 * - a state: first, end, movedFrom (float64 each), bytes of the label (uint32), label (UTF-8), value.
 */
export function encodeFrameRecord(log: number, frame: Frame, moved: boolean): Uint8Array {
  const bytes = new Uint8Array(FRAME_HEADER_BYTES + frame.payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, moved ? MOVED_FRAME : FRAME);
  view.setUint32(1, log, true);
  view.setFloat64(5, frame.position, true);
  view.setUint32(13, frame.count, true);
  view.setFloat64(17, frame.epoch, true);
  bytes.set(frame.payload, FRAME_HEADER_BYTES);
  return bytes;
}

export function encodeStateRecord(record: Omit<StateRecord, 'kind'>): Uint8Array {
  const label = new TextEncoder().encode(record.label);
  const value = record.value ?? new Uint8Array(0);
  const bytes = new Uint8Array(STATE_HEADER_BYTES + label.length + value.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, record.value === undefined ? STATE_WITHOUT_VALUE : STATE);
  view.setUint32(1, record.log, true);
  view.setFloat64(5, record.first, true);
  view.setFloat64(13, record.end, true);
  view.setFloat64(21, record.movedFrom, true);
  view.setUint32(29, label.length, true);
  bytes.set(label, STATE_HEADER_BYTES);
  bytes.set(value, STATE_HEADER_BYTES + label.length);
  return bytes;
}

/** The record in a frame of the journal in `directory`, as errors name it. Throws `FORMAT_UNKNOWN` for one of a later version. */
export function decodeRecord(stored: Frame, directory: string): FrameRecord | StateRecord {
  const { payload: bytes, timestamp = 0 } = stored;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kind = bytes.length < 5 ? 0 : view.getUint8(0);
  if (kind === FRAME || kind === MOVED_FRAME) {
    const frame = {
      position: view.getFloat64(5, true),
      count: view.getUint32(13, true),
      epoch: view.getFloat64(17, true),
      timestamp,
      payload: bytes.subarray(FRAME_HEADER_BYTES),
    };
    return { kind: 'frame', log: view.getUint32(1, true), moved: kind === MOVED_FRAME, frame };
  }
  if (kind === STATE || kind === STATE_WITHOUT_VALUE) {
    const identityEnd = STATE_HEADER_BYTES + view.getUint32(29, true);
    return {
      kind: 'state',
      log: view.getUint32(1, true),
      first: view.getFloat64(5, true),
      end: view.getFloat64(13, true),
      movedFrom: view.getFloat64(21, true),
      label: new TextDecoder().decode(bytes.subarray(STATE_HEADER_BYTES, identityEnd)),
      value: kind === STATE ? bytes.slice(identityEnd) : undefined,
    };
  }
  const what = `record ${stored.position} of the journal in ${directory}`;
  throw formatUnknown({ what, path: directory, found: `kind ${kind}`, reads: 'kinds 1 to 4' });
}
