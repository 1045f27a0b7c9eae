import protobuf from 'protobufjs/light.js';
import { VarlogError } from '../base/index.ts';

/** From here on the bytes of a field are referred to; fewer are cheaper to copy. */
const GATHERED_BYTES_MIN = 1024;
/** What a field of 64 bits cannot hold any more. */
const UINT64_END = 2 ** 64;

/** Bytes of a field, and where they belong in what was written beside them. */
interface Gathered {
  at: number;
  readonly bytes: Uint8Array;
}

/**
 * Writes a message without copying the large fields of bytes in it: these are put between the pieces of all the rest at
 * the end. The writer of protobufjs copies them once into its buffer, once more to put a length before the message that
 * they are in, and once out of the buffer.
 */
export class GatheringWriter extends protobuf.BufferWriter {
  private gathered: Gathered[] = [];
  /** How many were gathered before each message began that is not finished. */
  private readonly before: number[] = [];

  override bytes(value: Uint8Array | string): this {
    if (typeof value === 'string' || value.length < GATHERED_BYTES_MIN) {
      super.bytes(value);
      return this;
    }
    this.uint32(value.length);
    this.gathered.push({ at: this.pos, bytes: value });
    return this;
  }

  /**
   * Throws `POSITION_OUT_OF_RANGE` for what the field cannot hold. That of protobufjs writes another number then: 0 for
   * 2^64, which is what 2^64 - 1 becomes when it is read as a number.
   */
  override uint64(value: number): this {
    if (value >= 0 && value < UINT64_END) {
      super.uint64(value);
      return this;
    }
    throw new VarlogError('POSITION_OUT_OF_RANGE', {
      what: `${value} does not fit in 64 bits`,
      next: 'give a whole number from 0 to 2^53 - 1',
      outcome: 'notAppended',
    });
  }

  override fork(): this {
    this.before.push(this.gathered.length);
    super.fork();
    return this;
  }

  override ldelim(): this {
    const from = this.before.pop() ?? 0;
    if (from === this.gathered.length) {
      super.ldelim();
      return this;
    }
    const start = this.states!.pop()!;
    // Behind the byte that was kept free for the length.
    const rest = new Uint8Array(this.buf.subarray(start + 1, this.pos));
    let size = rest.length;
    for (let i = from; i < this.gathered.length; i++) size += this.gathered[i]!.bytes.length;
    this.pos = start;
    this.uint32(size);
    const moved = this.pos - (start + 1);
    this.raw(rest);
    for (let i = from; i < this.gathered.length; i++) this.gathered[i]!.at += moved;
    return this;
  }

  override reset(): this {
    this.gathered = [];
    this.before.length = 0;
    super.reset();
    return this;
  }

  /** All that was written, in pieces that follow each other. */
  parts(): Uint8Array[] {
    const rest = this.finish();
    const parts: Uint8Array[] = [];
    let from = 0;
    for (const { at, bytes } of this.gathered) {
      if (at > from) parts.push(rest.subarray(from, at));
      parts.push(bytes);
      from = at;
    }
    if (from < rest.length || parts.length === 0) parts.push(rest.subarray(from));
    return parts;
  }

  /** All that was written, in one piece of its own. */
  whole(): Uint8Array {
    if (this.gathered.length === 0) return this.finish();
    let size = this.pos;
    for (const { bytes } of this.gathered) size += bytes.length;
    const whole = new Uint8Array(size);
    let at = 0;
    for (const part of this.parts()) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
}
