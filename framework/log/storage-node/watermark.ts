import type { LogStreamReplica } from './replica.ts';
import { isTrimDue } from './trim.ts';

/** All records of the topic up to GLSN `highWatermark` are ordered. */
export function watermarkMoved(replica: LogStreamReplica, highWatermark: number): void {
  replica.topicWatermark = Math.max(replica.topicWatermark, highWatermark);
  settleWatermark(replica);
}

/** No record at or below the watermark MAY come after it was told to a reader. */
export function settleWatermark(replica: LogStreamReplica): void {
  if (replica.failure !== undefined || !replica.inbox.isComplete) return;
  if (replica.topicWatermark <= replica.watermark) return;
  replica.watermark = replica.topicWatermark;
  replica.committed.wake();
  if (isTrimDue(replica)) replica.advance();
}
