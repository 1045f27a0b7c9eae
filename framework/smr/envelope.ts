import { formatUnknown, type VarlogError } from '../base/index.ts';
import { isVersionOfRules } from './rules.ts';

/**
 * What replicas write into a log. A session's id is the position of the entry that opened it.
 *
 * ```
 *   kind (uint8) | tag (8 bytes) | …
 *     command:  time | session | sequence | acked | seen | length (uint16) | request id | command
 *     open:     time
 *     skip:     position | timer, where it is the command of one
 *     tick:     time | session | seen
 *     upgrade:  rule version
 *     check:    position | writer | hash (UTF-8)
 * ```
 * Numbers without a type are float64; all are little endian. The tag is that of the machine on its log (`tagOf`):
 * whatever carries another one, or none, belongs to somebody else.
 */
const COMMAND = 1;
const OPEN = 2;
const SKIP = 3;
const TICK = 4;
const UPGRADE = 6;
const CHECK = 7;
const TAG_BYTES = 8;
const SHORT_BYTES = 1 + TAG_BYTES + 8;
const CHECK_BYTES = SHORT_BYTES + 8;
const COMMAND_BYTES = 1 + TAG_BYTES + 5 * 8 + 2;
const TICK_BYTES = 1 + TAG_BYTES + 3 * 8;
const SKIP_TIMER_BYTES = SHORT_BYTES + 8;
const NOTHING = new Uint8Array();
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Bytes of a request id at most, in UTF-8. */
export const REQUEST_ID_BYTES_MAX = 256;

/** Reads entries one after the other without making an object for each. */
export class EnvelopeReader {
  private readonly tag: Uint8Array;
  /** `foreign`: not of this machine on this log. */
  kind: 'command' | 'open' | 'skip' | 'tick' | 'upgrade' | 'check' | 'foreign' = 'foreign';
  /** Wall clock of the proposer, in milliseconds since 1970. */
  time = 0;
  session = 0;
  /** Number of the command within its client, from 1. Retries carry the same. A tick has 0. */
  sequence = 0;
  /** The client awaits nothing below this sequence any more. */
  acked = 0;
  /** How far the proposer had applied the log. */
  seen = 0;
  /** UTF-8; empty where the caller gave none. */
  requestId: Uint8Array = NOTHING;
  command: Uint8Array = NOTHING;
  /** Position of the command to skip. */
  skipped = 0;
  /** The timer whose command is to be skipped there; 0 for the entry's own. */
  skippedTimer = 0;
  /** Rule version that an `upgrade` asks for. */
  rules = 0;
  /** What the writer of a `check` found the state to be at the position `checked`; 0: nothing yet. */
  checked = 0;
  /** A number that tells whoever wrote the `check` from others. */
  writer = 0;
  hash = '';

  constructor(tag: Uint8Array) {
    this.tag = tag;
  }

  /** Throws `FORMAT_UNKNOWN` on what this machine's replicas wrote and this one cannot read. */
  read(bytes: Uint8Array, position: number): void {
    if (!this.isOwn(bytes)) {
      this.kind = 'foreign';
      return;
    }
    const [kind] = bytes;
    const { length } = bytes;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    if (kind === COMMAND && commandFits(view)) this.readCommand(bytes, view);
    else if (kind === OPEN && bytes.length === SHORT_BYTES) {
      this.kind = 'open';
      this.time = view.getFloat64(1 + TAG_BYTES, true);
    } else if (kind === SKIP && (length === SHORT_BYTES || length === SKIP_TIMER_BYTES)) {
      this.kind = 'skip';
      this.skipped = view.getFloat64(1 + TAG_BYTES, true);
      this.skippedTimer = length === SHORT_BYTES ? 0 : view.getFloat64(SHORT_BYTES, true);
    } else if (kind === TICK && length === TICK_BYTES) this.readTick(view);
    else if (kind === UPGRADE && length === SHORT_BYTES) {
      this.kind = 'upgrade';
      this.rules = view.getFloat64(1 + TAG_BYTES, true);
      if (!isVersionOfRules(this.rules)) throw unreadable(bytes, position);
    } else if (kind === CHECK && length >= CHECK_BYTES) {
      this.kind = 'check';
      this.checked = view.getFloat64(1 + TAG_BYTES, true);
      this.writer = view.getFloat64(SHORT_BYTES, true);
      this.hash = decoder.decode(bytes.subarray(CHECK_BYTES));
    } else throw unreadable(bytes, position);
  }

  /** Whether it can be read. */
  tryRead(bytes: Uint8Array, position: number): boolean {
    try {
      this.read(bytes, position);
      return true;
    } catch {
      return false;
    }
  }

  private readCommand(bytes: Uint8Array, view: DataView): void {
    this.kind = 'command';
    this.time = view.getFloat64(9, true);
    this.session = view.getFloat64(17, true);
    this.sequence = view.getFloat64(25, true);
    this.acked = view.getFloat64(33, true);
    this.seen = view.getFloat64(41, true);
    const length = view.getUint16(49, true);
    const end = COMMAND_BYTES + length;
    this.requestId = length === 0 ? NOTHING : bytes.subarray(COMMAND_BYTES, end);
    this.command = bytes.subarray(end);
  }

  private readTick(view: DataView): void {
    this.kind = 'tick';
    this.time = view.getFloat64(9, true);
    this.session = view.getFloat64(17, true);
    this.seen = view.getFloat64(25, true);
    this.sequence = 0;
  }

  /** Whether it was written for this machine on this log, by whatever version. */
  isOwn(bytes: Uint8Array): boolean {
    if (bytes.length < SHORT_BYTES) return false;
    for (let i = 0; i < TAG_BYTES; i++) if (bytes[1 + i] !== this.tag[i]) return false;
    return true;
  }
}

/** What commands that leave together have in common. */
export interface CommandsHeader {
  readonly tag: Uint8Array;
  time: number;
  session: number;
  acked: number;
  seen: number;
}

export interface OutgoingCommand {
  readonly sequence: number;
  /** UTF-8; empty where the caller gave none. */
  readonly requestId: Uint8Array;
  readonly command: Uint8Array;
}

/** What a replica says of the state at a position, as an {@link EnvelopeReader} has it. */
export type CheckEntry = Pick<EnvelopeReader, 'checked' | 'writer' | 'hash'>;

/** Size of a command in its envelope. */
export function envelopeBytes({
  requestId,
  command,
}: Pick<OutgoingCommand, 'requestId' | 'command'>): number {
  return COMMAND_BYTES + requestId.length + command.length;
}

/** Each command in its envelope, all of them in one piece of memory. */
export function encodeCommands(
  { tag, time, session, acked, seen }: CommandsHeader,
  commands: readonly OutgoingCommand[],
): Uint8Array[] {
  let size = 0;
  for (const command of commands) size += envelopeBytes(command);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let start = 0;
  return commands.map((outgoing) => {
    const { sequence, requestId, command } = outgoing;
    const end = start + envelopeBytes(outgoing);
    bytes[start] = COMMAND;
    bytes.set(tag, start + 1);
    view.setFloat64(start + 9, time, true);
    view.setFloat64(start + 17, session, true);
    view.setFloat64(start + 25, sequence, true);
    view.setFloat64(start + 33, acked, true);
    view.setFloat64(start + 41, seen, true);
    view.setUint16(start + 49, requestId.length, true);
    bytes.set(requestId, start + COMMAND_BYTES);
    bytes.set(command, start + COMMAND_BYTES + requestId.length);
    const envelope = bytes.subarray(start, end);
    start = end;
    return envelope;
  });
}

export function encodeOpen(tag: Uint8Array, time: number): Uint8Array {
  return short(OPEN, tag, time);
}

/** Has all replicas pass over the command at `position`: the entry's own, or that of a timer. */
export function encodeSkip(tag: Uint8Array, position: number, timer?: number): Uint8Array {
  const skip = short(SKIP, tag, position);
  if (timer === undefined) return skip;
  const bytes = new Uint8Array(SKIP_TIMER_BYTES);
  bytes.set(skip);
  new DataView(bytes.buffer).setFloat64(SHORT_BYTES, timer, true);
  return bytes;
}

/** Brings the log's time forward, as a command of this session would, where nobody sends one. */
export function encodeTick({
  tag,
  time,
  session,
  seen,
}: Omit<CommandsHeader, 'acked'>): Uint8Array {
  const bytes = new Uint8Array(TICK_BYTES);
  const view = new DataView(bytes.buffer);
  bytes[0] = TICK;
  bytes.set(tag, 1);
  view.setFloat64(9, time, true);
  view.setFloat64(17, session, true);
  view.setFloat64(25, seen, true);
  return bytes;
}

/** Has all replicas apply what follows by the rules of this version. */
export function encodeUpgrade(tag: Uint8Array, rules: number): Uint8Array {
  return short(UPGRADE, tag, rules);
}

/**
 * Tells all replicas what the state is to be at a position, and has them note what it is at this entry. Without a hash:
 * what the entry at that position said is not to be compared.
 */
export function encodeCheck(tag: Uint8Array, { checked, writer, hash }: CheckEntry): Uint8Array {
  const bytes = Buffer.concat([
    short(CHECK, tag, checked),
    new Uint8Array(8),
    encoder.encode(hash),
  ]);
  bytes.writeDoubleLE(writer, SHORT_BYTES);
  return bytes;
}

function commandFits(view: DataView): boolean {
  const { byteLength } = view;
  return byteLength >= COMMAND_BYTES && byteLength >= COMMAND_BYTES + view.getUint16(49, true);
}

function short(kind: number, tag: Uint8Array, value: number): Uint8Array {
  const bytes = new Uint8Array(SHORT_BYTES);
  bytes[0] = kind;
  bytes.set(tag, 1);
  new DataView(bytes.buffer).setFloat64(1 + TAG_BYTES, value, true);
  return bytes;
}

function unreadable(bytes: Uint8Array, position: number): VarlogError {
  const what = `the entry at position ${position}, of this machine,`;
  const found = `kind ${bytes[0]} and ${bytes.length} bytes`;
  return formatUnknown({ what, found, reads: 'kinds 1 to 4, 6 and 7 as it writes them' });
}
