interface Task {
  readonly key: unknown;
  readonly run: () => Promise<void>;
  readonly resolve: () => void;
}

/** Has tasks run side by side, those of one key one after the other in the order in which they came. */
export class Lanes {
  private readonly concurrency: number;
  /** May begin, in order. */
  private ready: Task[] = [];
  /** Behind another task of their key, which is ready or running. */
  private readonly behind = new Map<unknown, Task[]>();
  private running = 0;
  private idlers: (() => void)[] = [];

  constructor(concurrency: number) {
    this.concurrency = concurrency;
  }

  /** Resolves when the task has ended, or was dropped. It must not reject. Without a key it waits for none. */
  add(key: unknown, run: () => Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const task = { key, run, resolve };
      const lane = key === undefined ? undefined : this.behind.get(key);
      if (lane !== undefined) {
        lane.push(task);
        return;
      }
      if (key !== undefined) this.behind.set(key, []);
      this.ready.push(task);
      this.begin();
    });
  }

  /** Forgets all that has not begun. */
  drop(): void {
    const dropped = [...this.ready, ...[...this.behind.values()].flat()];
    this.ready = [];
    for (const lane of this.behind.values()) lane.length = 0;
    for (const it of dropped) it.resolve();
  }

  /** Resolves when nothing runs. */
  idle(): Promise<void> {
    if (this.running === 0) return Promise.resolve();
    return new Promise((resolve) => this.idlers.push(resolve));
  }

  private begin(): void {
    while (this.running < this.concurrency && this.ready.length > 0) {
      const task = this.ready.shift()!;
      this.running++;
      void task.run().finally(() => this.ended(task));
    }
  }

  private ended({ key, resolve }: Task): void {
    this.running--;
    const next = this.behind.get(key)?.shift();
    if (next !== undefined) this.ready.push(next);
    else if (key !== undefined) this.behind.delete(key);
    resolve();
    this.begin();
    if (this.running > 0) return;
    for (const it of this.idlers.splice(0)) it();
  }
}
