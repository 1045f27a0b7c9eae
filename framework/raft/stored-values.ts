import { formatUnknown } from '../base/index.ts';
import { leadingNumber, type ValueFormat } from '../store/index.ts';
import {
  type Configuration,
  decodeConfiguration,
  encodeConfiguration,
  type HardState,
} from './core/index.ts';

/** What a snapshot stands for. */
export interface SnapshotHead {
  readonly index: number;
  /** Term of the entry at `index`. */
  readonly term: number;
  /** Who belonged to the group at `index`. */
  readonly configuration: Configuration;
}

/** A snapshot that is on disk. */
export interface Snapshot extends SnapshotHead {
  /** Bytes of the state. */
  readonly size: number;
  /** CRC-32C of the state. */
  readonly checksum: number;
}

/** What to do about the folder of a member of which something is damaged or missing: one with parts of another time forgets votes. */
export const REPLACE_MEMBER =
  'put the whole folder back as it was last; or replace this member by a new one on an empty folder';

const HARD_STATE_BYTES = 16;
export const SNAPSHOT_HEADER_BYTES = 20;

export const hardStateFormat: ValueFormat<HardState> = {
  encode: encodeHardState,
  decode: decodeHardState,
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

/** What lies before the state in the file of a snapshot. */
export function encodeSnapshotHead({ index, term, configuration }: SnapshotHead): Uint8Array {
  const members = encodeConfiguration(configuration);
  const bytes = new Uint8Array(SNAPSHOT_HEADER_BYTES + members.length);
  const view = new DataView(bytes.buffer);
  view.setFloat64(0, index, true);
  view.setFloat64(8, term, true);
  view.setUint32(16, members.length, true);
  bytes.set(members, SNAPSHOT_HEADER_BYTES);
  return bytes;
}

/** How long that is, by its first {@link SNAPSHOT_HEADER_BYTES}. Throws `FORMAT_UNKNOWN` for a later version. */
export function snapshotHeadBytes(bytes: Uint8Array, path: string): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  leadingNumber(view, 0, { what: `the snapshot in ${path}`, path });
  return SNAPSHOT_HEADER_BYTES + view.getUint32(16, true);
}

export function decodeSnapshotHead(bytes: Uint8Array, path: string): SnapshotHead {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    index: leadingNumber(view, 0, { what: `the snapshot in ${path}`, path }),
    term: view.getFloat64(8, true),
    configuration: decodeConfiguration(bytes.subarray(SNAPSHOT_HEADER_BYTES)),
  };
}
