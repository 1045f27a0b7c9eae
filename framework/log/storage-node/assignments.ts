import type { Assignment, SessionResponse } from '../../wire/gen/log.ts';
import { ByTopic } from './by-topic.ts';
import { TopicWatermark } from './watermark.ts';

/**
 * What the metadata repository wants of this node's replicas, kept up to date with what it says of
 * their log streams while a replica is not there to hear it: being opened, broken, or rebuilt.
 */
export class Assignments {
  private readonly byLogStream = new ByTopic<Assignment>();
  private readonly topics = new Map<number, TopicWatermark>();

  /** Takes note of a message. Removals take effect, also of what was never heard of. */
  receive({ assignments, commits }: SessionResponse): void {
    for (const it of assignments) {
      if (it.removed) this.forget(it.logStreamId);
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

  /** Comes after every commit that it rests on. Of a topic of which no replica is wanted here nobody asks. */
  moveWatermark(topicId: number, highWatermark: number): void {
    if (this.byLogStream.hasTopic(topicId)) this.topic(topicId).move(highWatermark);
  }

  private forget(logStreamId: number): void {
    const { topicId } = this.byLogStream.get(logStreamId) ?? {};
    if (topicId === undefined) return;
    this.byLogStream.delete(logStreamId);
    if (!this.byLogStream.hasTopic(topicId)) this.topics.delete(topicId);
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
