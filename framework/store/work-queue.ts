import { type Frame, frameBytes, frameEnd } from './frame.ts';

/** Frames to be written, as many at once as fit. */
export interface Batch {
  readonly kind: 'batch';
  frames: Frame[];
  /** Whether they are written now; otherwise they may wait for more. */
  sync: boolean;
}

/** Work on the files that must not overlap with writing. */
export interface Task {
  readonly kind: 'task';
  /** Frames after this position are gone as soon as the task is asked for. */
  readonly keeps: number;
  readonly run: () => Promise<void>;
  /** Whether it may run before frames that wait: it needs none of them, and gives room back. */
  readonly mayOvertake: () => boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** What a log has to do, in the order in which it was asked for. Frames that follow each other form one batch. */
export class WorkQueue {
  private items: (Batch | Task)[] = [];
  private frameBytes = 0;

  /** Bytes of the frames that wait. */
  get bytes(): number {
    return this.frameBytes;
  }

  get next(): Batch | Task | undefined {
    return this.items[0];
  }

  /** Whether all that there is to do may wait for more. */
  get gathers(): boolean {
    const [first] = this.items;
    return this.items.length === 1 && first?.kind === 'batch' && !first.sync;
  }

  /** How much of what is in the files the tasks that wait will keep. */
  get keeps(): number {
    let keeps = Infinity;
    for (const item of this.items) if (item.kind === 'task') keeps = Math.min(keeps, item.keeps);
    return keeps;
  }

  addFrames(frames: readonly Frame[], sync: boolean): void {
    for (const frame of frames) this.frameBytes += frameBytes(frame);
    const last = this.items.at(-1);
    if (last?.kind === 'batch') {
      for (const frame of frames) last.frames.push(frame);
      last.sync ||= sync;
    } else {
      this.items.push({ kind: 'batch', frames: [...frames], sync });
    }
  }

  addTask(keeps: number, run: () => Promise<void>, mayOvertake = () => false): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      this.items.push({ kind: 'task', keeps, run, mayOvertake, resolve, reject });
    });
  }

  /** Takes what is next from the queue. */
  shift(): void {
    this.items.shift();
  }

  /** Has a task that may overtake the frames before it do so. */
  overtake(): void {
    const [frames, task] = this.items;
    if (frames?.kind !== 'batch' || task?.kind !== 'task' || !task.mayOvertake()) return;
    this.items.splice(0, 2, task, frames);
  }

  /** Gives back a task that could not be done. */
  putBack(task: Task): void {
    this.items.unshift(task);
  }

  /** Gives back frames that were taken from a batch and not written, but for those cut meanwhile. */
  putBackFrames(frames: readonly Frame[], sync: boolean): void {
    const { keeps } = this;
    const kept = frames.filter((it) => frameEnd(it) <= keeps);
    for (const frame of kept) this.frameBytes += frameBytes(frame);
    const first = this.items[0];
    if (first?.kind === 'batch') {
      first.frames = [...kept, ...first.frames];
      first.sync ||= sync;
    } else this.items.unshift({ kind: 'batch', frames: kept, sync });
  }

  /**
   * Takes from the batch that is next about `bytesMax` bytes, one frame at least if there is any;
   * with the last of them the batch itself.
   */
  take(batch: Batch, bytesMax: number): { frames: Frame[]; bytes: number } {
    const { frames } = batch;
    let bytes = 0;
    let count = 0;
    while (count < frames.length) {
      const size = frameBytes(frames[count]!);
      if (count > 0 && bytes + size > bytesMax) break;
      bytes += size;
      count++;
    }
    this.frameBytes -= bytes;
    if (count < frames.length) return { frames: frames.splice(0, count), bytes };
    this.shift();
    return { frames, bytes };
  }

  /** Lets go of the frames that reach beyond `end`. */
  cut(end: number): void {
    for (const item of this.items) {
      if (item.kind !== 'batch') continue;
      for (const frame of item.frames) {
        if (frameEnd(frame) > end) this.frameBytes -= frameBytes(frame);
      }
      item.frames = item.frames.filter((frame) => frameEnd(frame) <= end);
    }
  }

  /** Gives everything up; nobody waits any more. */
  fail(error: unknown): void {
    const { items } = this;
    this.items = [];
    this.frameBytes = 0;
    for (const item of items) if (item.kind === 'task') item.reject(error);
  }
}
