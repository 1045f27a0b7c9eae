import type { Clock } from '../../base/index.ts';
import { CutTimes } from '../../wire/gen/log.ts';
import type { Commit, CutEntry } from '../core/index.ts';
import type { StationHistograms } from '../station-histograms.ts';

/** How long appends wait at the leader of the metadata repository: for cuts before theirs, and for Raft. */
export type OrderingHistograms = StationHistograms<'cut' | 'raft'>;

/** A cut on its way through Raft. */
interface ProposedCut {
  /** Where each log stream ends by it. */
  readonly ends: ReadonlyMap<number, number>;
  readonly proposedAt: number;
  /** For how long the first report that led to it had waited by then. */
  readonly heldBackMs: number;
}

/** The cuts that a leader has under way, and how long each takes. */
export class ProposedCuts {
  private readonly clock: Clock;
  private readonly stations: OrderingHistograms;
  private readonly cuts = new Set<ProposedCut>();
  /** When the first report came that no plan has seen yet. */
  private reportedAt: number | undefined;

  constructor(clock: Clock, stations: OrderingHistograms) {
    this.clock = clock;
    this.stations = stations;
  }

  get size(): number {
    return this.cuts.size;
  }

  /** Reports came. */
  reported(at: number): void {
    this.reportedAt ??= at;
  }

  /** A plan has seen all reports; what it comes to, if to anything, is proposed now. */
  planned(entries: readonly CutEntry[]): ProposedCut | undefined {
    const proposedAt = this.clock.now();
    const heldBackMs = Math.max(0, proposedAt - (this.reportedAt ?? proposedAt));
    this.reportedAt = undefined;
    if (entries.length === 0) return undefined;
    const ends = new Map(entries.map((it) => [it.logStreamId, it.end]));
    const cut = { ends, proposedAt, heldBackMs };
    this.cuts.add(cut);
    this.stations.observe('cut', heldBackMs);
    return cut;
  }

  succeeded(cut: ProposedCut): void {
    this.cuts.delete(cut);
    this.stations.observe('raft', this.clock.now() - cut.proposedAt);
  }

  failed(cut: ProposedCut): void {
    this.cuts.delete(cut);
  }

  /** How long the cut took that a commit came of, until now; `undefined` for the cut of another leader. */
  timesOf({ logStreamId, llsn, count }: Commit): CutTimes | undefined {
    for (const { ends, proposedAt, heldBackMs } of this.cuts) {
      if (ends.get(logStreamId) !== llsn + count - 1) continue;
      const heldBack = Math.floor(heldBackMs * 1_000);
      return CutTimes.create({
        heldBack,
        raft: Math.floor((this.clock.now() - proposedAt) * 1_000),
      });
    }
    return undefined;
  }
}
