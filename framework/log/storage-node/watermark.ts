import type { LogStreamReplica } from './replica.ts';
import { isTrimDue } from './trim.ts';

/**
 * The high watermark of a topic, as far as this node was told. Its replicas look it up: of hundreds of log streams a cut
 * touches a few, and only those are called on where somebody waits.
 */
export class TopicWatermark {
  private told = 0;
  private readonly attending = new Set<LogStreamReplica>();

  /** All records of the topic up to this GLSN are ordered. Never falls. */
  get value(): number {
    return this.told;
  }

  /** Has `replica` called on when it moves, as long as somebody waits there. */
  attend(replica: LogStreamReplica): void {
    this.attending.add(replica);
  }

  /** The node was told, after every commit that it rests on. */
  move(highWatermark: number): void {
    if (highWatermark <= this.told) return;
    this.told = highWatermark;
    for (const it of this.attending) {
      settleWatermark(it);
      if (!isWaiting(it)) this.attending.delete(it);
    }
  }
}

/**
 * Takes over what the topic's high watermark is by now, if it can be vouched for: no record at or below the watermark MAY
 * come after it was told to a reader. To be called when what keeps it from that may have changed, and when it is asked for.
 */
export function settleWatermark(replica: LogStreamReplica): void {
  if (replica.failure !== undefined || !replica.inbox.isComplete) return;
  const known = Math.max(replica.assignedWatermark, replica.topicWatermark.value);
  if (known <= replica.vouched) return;
  replica.vouched = known;
  replica.committed.wake();
  if (isTrimDue(replica)) replica.advance();
}

/** For a reader, or to drop what was trimmed before it came. */
function isWaiting({ failure, closed, committed, head }: LogStreamReplica): boolean {
  if (failure !== undefined || closed) return false;
  return committed.isAwaited || head.dropped < head.trimmed;
}
