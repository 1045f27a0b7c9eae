import { setTimeout as sleep } from 'node:timers/promises';
import { MemoryLog } from 'varlog/testing';

type Followed = ReturnType<MemoryLog['follow']>;
const ENTRIES = 5;

/** A log from which only a few entries come at a time. */
export class SlowLog extends MemoryLog {
  /** What passes between them. */
  pauseMs = 20;

  override async *follow(from: number, options: { signal?: AbortSignal } = {}): Followed {
    for await (const it of super.follow(from, options)) {
      if (it.kind !== 'entries' || it.entries.length <= ENTRIES) {
        yield it;
        continue;
      }
      for (let begin = 0; begin < it.entries.length; begin += ENTRIES) {
        const entries = it.entries.slice(begin, begin + ENTRIES);
        const isLast = begin + ENTRIES >= it.entries.length;
        yield { ...it, entries, through: isLast ? it.through : entries.at(-1)!.position };
        await sleep(this.pauseMs, undefined, options);
      }
    }
  }
}
