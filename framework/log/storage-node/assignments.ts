import type { Assignment, SessionResponse } from '../../wire/gen/log.ts';
import { ByTopic } from './by-topic.ts';

/**
 * What the metadata repository wants of this node's replicas, kept up to date with what it says of
 * their log streams while a replica is not there to hear it: being opened, broken, or rebuilt.
 */
export class Assignments {
  private readonly byLogStream = new ByTopic<Assignment>();

  /** Takes note of a message. Removals take effect, also of what was never heard of. */
  receive({ assignments, commits, watermarks }: SessionResponse): void {
    for (const it of assignments) {
      if (it.removed) this.byLogStream.delete(it.logStreamId);
      else this.byLogStream.set(it.logStreamId, it);
    }
    for (const { logStreamId, version, llsn, count } of commits) {
      const known = this.byLogStream.get(logStreamId);
      if (known === undefined) continue;
      known.version = Math.max(known.version, version);
      known.end = Math.max(known.end, llsn + count - 1);
    }
    for (const { topicId, highWatermark } of watermarks) {
      for (const it of this.byLogStream.ofTopic(topicId)) {
        it.highWatermark = Math.max(it.highWatermark, highWatermark);
      }
    }
  }

  get(logStreamId: number): Assignment | undefined {
    return this.byLogStream.get(logStreamId);
  }
}
