/** A replica, as far as it waits for the high watermark of its topic. */
export interface WatermarkFollower {
  /** Takes over what the topic's high watermark is by now, if it can be vouched for. */
  settleWatermark(): void;
  /** Whether anything there waits for it to move. */
  readonly awaitsWatermark: boolean;
}

/**
 * The high watermark of a topic, as far as this node was told. Its replicas look it up: of hundreds of log streams a cut
 * touches a few, and only those are called on where somebody waits.
 */
export class TopicWatermark {
  private told = 0;
  private readonly attending = new Set<WatermarkFollower>();

  /** All records of the topic up to this GLSN are ordered. Never falls. */
  get value(): number {
    return this.told;
  }

  /** Has a replica called on when it moves, as long as it waits for that. */
  attend(follower: WatermarkFollower): void {
    this.attending.add(follower);
  }

  /** The node was told, after every commit that it rests on. */
  move(highWatermark: number): void {
    if (highWatermark <= this.told) return;
    this.told = highWatermark;
    for (const it of this.attending) {
      it.settleWatermark();
      if (!it.awaitsWatermark) this.attending.delete(it);
    }
  }
}
