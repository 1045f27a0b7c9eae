/**
 * Positions that no consumer is given: whoever has dealt with the record before them has dealt with them too. In order;
 * holds no more than one range for each gap between records that are still to be dealt with.
 */
export class PassedOver {
  private ranges: { readonly from: number; through: number }[] = [];

  /** Positions after all that were added before. */
  add(from: number, through: number): void {
    const newest = this.ranges.at(-1);
    if (newest !== undefined && newest.through + 1 === from) newest.through = through;
    else this.ranges.push({ from, through });
  }

  /** What has been dealt with when everything up to `position` has. Forgets what lies at or below it. */
  reached(position: number): number {
    let reached = position;
    while (this.ranges.length > 0 && this.ranges[0]!.from <= reached + 1) {
      reached = Math.max(reached, this.ranges.shift()!.through);
    }
    return reached;
  }
}
