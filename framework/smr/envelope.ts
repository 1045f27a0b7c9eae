import { VarlogError } from '../base/index.ts';

/**
 * A command as it lies in the log, or the opening of a session, whose id is the position of that entry.
 *
 * ```
 *   kind (uint8) | time (float64) | session (float64) | sequence (float64) | acked (float64) | command
 *   kind (uint8) | time (float64)                                            opens a session
 * ```
 * All numbers little endian.
 */
const COMMAND = 1;
const OPEN = 2;
const OPEN_BYTES = 9;
export const ENVELOPE_BYTES = 33;

/** Reads entries one after the other without making an object for each. */
export class EnvelopeReader {
  kind: 'command' | 'open' = 'open';
  /** Wall clock of the proposer, in milliseconds since 1970. */
  time = 0;
  session = 0;
  /** Number of the command within its client. Retries carry the same. */
  sequence = 0;
  /** The client awaits nothing below this sequence any more. */
  acked = 0;
  command: Uint8Array = new Uint8Array();

  /** Throws `CORRUPT` on bytes that no replica wrote. */
  read(bytes: Uint8Array, position: number): void {
    const kind = bytes[0];
    if (kind === COMMAND && bytes.length >= ENVELOPE_BYTES) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, ENVELOPE_BYTES);
      this.kind = 'command';
      this.time = view.getFloat64(1, true);
      this.session = view.getFloat64(9, true);
      this.sequence = view.getFloat64(17, true);
      this.acked = view.getFloat64(25, true);
      this.command = bytes.subarray(ENVELOPE_BYTES);
      return;
    }
    if (kind === OPEN && bytes.length === OPEN_BYTES) {
      this.kind = 'open';
      this.time = new DataView(bytes.buffer, bytes.byteOffset, OPEN_BYTES).getFloat64(1, true);
      return;
    }
    throw new VarlogError('CORRUPT', {
      what: `the entry at position ${position} is not a command of a replica`,
      because: 'something else appends to this log, or a newer version wrote it',
      next: 'give every replicated machine a log of its own, and upgrade all replicas',
      details: { position },
    });
  }
}

export interface CommandHeader {
  time: number;
  session: number;
  sequence: number;
  acked: number;
}

export function encodeCommand(header: CommandHeader, command: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(ENVELOPE_BYTES + command.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = COMMAND;
  view.setFloat64(1, header.time, true);
  view.setFloat64(9, header.session, true);
  view.setFloat64(17, header.sequence, true);
  view.setFloat64(25, header.acked, true);
  bytes.set(command, ENVELOPE_BYTES);
  return bytes;
}

export function encodeOpen(time: number): Uint8Array {
  const bytes = new Uint8Array(OPEN_BYTES);
  bytes[0] = OPEN;
  new DataView(bytes.buffer).setFloat64(1, time, true);
  return bytes;
}
