import type { Assignment, SessionResponse } from '../../wire/gen/log.ts';
import { TopicWatermark } from './watermark.ts';

/**
 * What the metadata repository wants of this node's replicas, kept up to date with what it says of
 * their log streams while a replica is not there to hear it: being opened, broken, or rebuilt.
 */
export class Assignments {
  private readonly byLogStream = new Map<number, Assignment>();
  private readonly topics = new Map<number, TopicWatermark>();

  /** Takes note of a message. Removals take effect, also of what was never heard of. */
  receive({ assignments, commits }: SessionResponse): void {
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
  }

  get(logStreamId: number): Assignment | undefined {
    return this.byLogStream.get(logStreamId);
  }

  /** The high watermark of a topic: the commits that it rests on are in the assignments. */
  topic(topicId: number): TopicWatermark {
    const known = this.topics.get(topicId);
    if (known !== undefined) return known;
    const topic = new TopicWatermark();
    this.topics.set(topicId, topic);
    return topic;
  }
}
