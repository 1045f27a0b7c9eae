type Close = () => Promise<void> | void;

/** What has to be ended again, the last one first. Each is ended, also where one before it failed. */
export class Closers {
  private readonly parts: Close[] = [];
  private closing: Promise<void> | undefined;

  /** What is added last is ended first. */
  add(...parts: readonly Close[]): void {
    this.parts.push(...parts);
  }

  /** Ends all of them. Rejects, once all were tried, with the first failure. Idempotent. */
  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  private async closeAll(): Promise<void> {
    const failures: unknown[] = [];
    for (const close of this.parts.reverse()) {
      try {
        await close();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
