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
const ENVELOPE_BYTES = 33;

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

/** What commands that leave together have in common. */
export interface CommandsHeader {
  time: number;
  session: number;
  acked: number;
}

/** Each command in its envelope, all of them in one piece of memory. */
export function encodeCommands(
  { time, session, acked }: CommandsHeader,
  commands: readonly { readonly sequence: number; readonly command: Uint8Array }[],
): Uint8Array[] {
  let size = 0;
  for (const { command } of commands) size += ENVELOPE_BYTES + command.length;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let start = 0;
  return commands.map(({ sequence, command }) => {
    const end = start + ENVELOPE_BYTES + command.length;
    bytes[start] = COMMAND;
    view.setFloat64(start + 1, time, true);
    view.setFloat64(start + 9, session, true);
    view.setFloat64(start + 17, sequence, true);
    view.setFloat64(start + 25, acked, true);
    bytes.set(command, start + ENVELOPE_BYTES);
    const envelope = bytes.subarray(start, end);
    start = end;
    return envelope;
  });
}

export function encodeOpen(time: number): Uint8Array {
  const bytes = new Uint8Array(OPEN_BYTES);
  bytes[0] = OPEN;
  new DataView(bytes.buffer).setFloat64(1, time, true);
  return bytes;
}
