import { formatUnknown } from '../base/index.ts';
import { leadingNumber, type ValueFormat } from '../store/index.ts';
import {
  type Configuration,
  decodeConfiguration,
  encodeConfiguration,
  type HardState,
} from './core/index.ts';

export interface Snapshot {
  readonly index: number;
  /** Term of the entry at `index`. */
  readonly term: number;
  /** Who belonged to the group at `index`. */
  readonly configuration: Configuration;
  readonly state: Uint8Array;
}

const HARD_STATE_BYTES = 16;
const SNAPSHOT_HEADER_BYTES = 20;

export const hardStateFormat: ValueFormat<HardState> = {
  encode: encodeHardState,
  decode: decodeHardState,
};

export const snapshotFormat: ValueFormat<Snapshot> = {
  encode: encodeSnapshot,
  decode: decodeSnapshot,
};

// Numbers are kept as float64: exact below 2^53, without bigint.
function encodeHardState({ term, vote }: HardState): Uint8Array {
  const bytes = new Uint8Array(HARD_STATE_BYTES);
  const view = new DataView(bytes.buffer);
  view.setFloat64(0, term, true);
  view.setFloat64(8, vote, true);
  return bytes;
}

/** That of a later version has another length. */
function decodeHardState(bytes: Uint8Array, path: string): HardState {
  if (bytes.length !== HARD_STATE_BYTES) {
    const [found, reads] = [`${bytes.length} bytes`, `hard states of ${HARD_STATE_BYTES} bytes`];
    throw formatUnknown({ what: `the hard state in ${path}`, path, found, reads });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { term: view.getFloat64(0, true), vote: view.getFloat64(8, true) };
}

function encodeSnapshot({ index, term, configuration, state }: Snapshot): Uint8Array {
  const members = encodeConfiguration(configuration);
  const bytes = new Uint8Array(SNAPSHOT_HEADER_BYTES + members.length + state.length);
  const view = new DataView(bytes.buffer);
  view.setFloat64(0, index, true);
  view.setFloat64(8, term, true);
  view.setUint32(16, members.length, true);
  bytes.set(members, SNAPSHOT_HEADER_BYTES);
  bytes.set(state, SNAPSHOT_HEADER_BYTES + members.length);
  return bytes;
}

function decodeSnapshot(bytes: Uint8Array, path: string): Snapshot {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const index = leadingNumber(view, 0, { what: `the snapshot in ${path}`, path });
  const stateOffset = SNAPSHOT_HEADER_BYTES + view.getUint32(16, true);
  return {
    index,
    term: view.getFloat64(8, true),
    configuration: decodeConfiguration(bytes.subarray(SNAPSHOT_HEADER_BYTES, stateOffset)),
    state: bytes.subarray(stateOffset),
  };
}
