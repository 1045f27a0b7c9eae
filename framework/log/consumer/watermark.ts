interface Begun {
  readonly glsn: number;
  readonly size: number;
  done: boolean;
}

/** Up to where everything is done, while records are done in any order. */
export class Watermark {
  private readonly open = new Map<number, Begun>();
  /** In order; those before `head` are done. */
  private begun: Begun[] = [];
  private head = 0;
  private newest: number;
  private openBytes = 0;

  /** `position`: everything up to here is done. */
  constructor(position: number) {
    this.newest = position;
  }

  /** Everything up to here is done: never beyond a record that was begun and is not done. */
  get position(): number {
    const oldest = this.begun[this.head];
    return oldest === undefined ? this.newest : oldest.glsn - 1;
  }

  /** Records that were begun and are not done. */
  get count(): number {
    return this.open.size;
  }

  /** From the oldest of them to the newest one that was begun: done or not, nothing of it is behind the position. */
  get span(): number {
    return this.begun.length - this.head;
  }

  /** Bytes of those that are not done. */
  get bytes(): number {
    return this.openBytes;
  }

  /** The next record of the log is being worked on. */
  begin(glsn: number, size: number): void {
    const record = { glsn, size, done: false };
    this.open.set(glsn, record);
    this.begun.push(record);
    this.openBytes += size;
    this.newest = glsn;
  }

  /** A record is done. */
  end(glsn: number): void {
    const record = this.open.get(glsn);
    if (record === undefined) return;
    this.open.delete(glsn);
    record.done = true;
    this.openBytes -= record.size;
    while (this.begun[this.head]?.done === true) this.head++;
    if (this.head < this.begun.length && this.head < 1_024) return;
    this.begun = this.begun.slice(this.head);
    this.head = 0;
  }
}
