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

const SNAPSHOT_HEADER_BYTES = 20;

// Numbers are kept as float64: exact below 2^53, without bigint.
export function encodeHardState(term: number, vote: number): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setFloat64(0, term, true);
  view.setFloat64(8, vote, true);
  return bytes;
}

export function decodeHardState(bytes: Uint8Array | undefined): HardState {
  if (bytes === undefined) return { term: 0, vote: 0 };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { term: view.getFloat64(0, true), vote: view.getFloat64(8, true) };
}

export function encodeSnapshot({ index, term, configuration, state }: Snapshot): Uint8Array {
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

export function decodeSnapshot(bytes: Uint8Array | undefined): Snapshot | undefined {
  if (bytes === undefined) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stateOffset = SNAPSHOT_HEADER_BYTES + view.getUint32(16, true);
  return {
    index: view.getFloat64(0, true),
    term: view.getFloat64(8, true),
    configuration: decodeConfiguration(bytes.subarray(SNAPSHOT_HEADER_BYTES, stateOffset)),
    state: bytes.subarray(stateOffset),
  };
}
