import {
  type Followed,
  type LogCallOptions,
  type OrderedLog,
  type Trimmed,
  VarlogError,
} from '../base/index.ts';
import { MemoryLog } from '../testing/memory-log.ts';

/** A log in memory that is held and trimmed as a topic is. The records that are trimmed are still in `whole`. */
export class TrimmedLog implements OrderedLog {
  readonly whole = new MemoryLog();
  /** Who holds what is behind which position. */
  readonly holds = new Map<string, number>();
  trimmed = 0;

  identity(options?: LogCallOptions): Promise<string> {
    return this.whole.identity(options);
  }

  append(commands: readonly Uint8Array[], options?: LogCallOptions): Promise<number> {
    return this.whole.append(commands, options);
  }

  tail(options?: LogCallOptions): Promise<number> {
    return this.whole.tail(options);
  }

  async *follow(from: number, options?: { signal?: AbortSignal }): AsyncGenerator<Followed> {
    this.check(from - 1);
    yield* this.whole.follow(from, options);
  }

  async hold(holder: string, position: number): Promise<void> {
    this.check(position);
    this.holds.set(holder, position);
  }

  async trim(position: number): Promise<Trimmed> {
    const [least] = [...this.holds].sort(([, a], [, b]) => a - b);
    const upTo = Math.min(position, least?.[1] ?? position);
    this.trimmed = Math.max(this.trimmed, upTo);
    if (least === undefined || upTo === position) return { position: this.trimmed };
    return { position: this.trimmed, heldBackBy: { holder: least[0], position: least[1] } };
  }

  private check(position: number): void {
    if (position >= this.trimmed) return;
    throw new VarlogError('TRIMMED', { what: `what is behind ${position} is trimmed` });
  }
}
