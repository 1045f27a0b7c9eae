const BLOCK_BYTES = 64 * 1024;

interface Block {
  readonly bytes: Uint8Array;
  /** What is in use begins and ends here. */
  from: number;
  to: number;
}

/** Bytes that are added at the end and dropped from the front: in few large pieces of memory, each let go at once. */
export class ByteBlocks {
  private readonly blocks: Block[] = [];
  /** Number of the first block that there is. */
  private first = 0;

  /** Number of the last block: where {@link append} has made room. */
  get last(): number {
    return this.first + this.blocks.length - 1;
  }

  /** Makes room for `length` bytes side by side, to be filled at once. Returns where it begins in the last block. */
  append(length: number): number {
    let block = this.blocks.at(-1);
    if (block === undefined || block.to + length > block.bytes.length) {
      block = { bytes: new Uint8Array(Math.max(BLOCK_BYTES, length)), from: 0, to: 0 };
      this.blocks.push(block);
    }
    const from = block.to;
    block.to += length;
    return from;
  }

  /** All of the memory of a block. */
  block(number: number): Uint8Array {
    return (this.blocks[number - this.first] as Block).bytes;
  }

  /** Drops what lies before `offset` in block `number`, and all blocks before it. */
  drop(number: number, offset: number): void {
    for (; this.first < number; this.first++) this.blocks.shift();
    const block = this.blocks[0] as Block;
    block.from = offset;
    if (block.from < block.to) return;
    this.blocks.shift();
    this.first++;
  }

  /** All that is in use, in order. It stays as it is, whatever is appended and dropped: no memory is used twice. */
  pieces(): Uint8Array[] {
    return this.blocks.map(({ bytes, from, to }) => bytes.subarray(from, to));
  }
}
