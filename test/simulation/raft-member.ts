import type { Random } from '../../framework/base/index.ts';
import {
  type Configuration,
  decodeConfiguration,
  type EntryBatch,
  endOf,
  type HardState,
  isConfigurationEntry,
  type LogShape,
  type PlacedConfiguration,
  type Raft,
  sliceBatch,
  type Write,
} from '../../framework/raft/core/index.ts';

import { must } from './violation.ts';

interface StoredSnapshot {
  index: number;
  term: number;
  configuration: Configuration;
}

/** One member: its core while it runs, and a disk on which only what was written survives a crash. */
export class SimulatedMember {
  readonly id: number;
  raft: Raft | undefined;
  /** Handed over and not finished, oldest first. */
  writes: Write[] = [];
  hardState: HardState = { term: 0, vote: 0 };
  snapshot: StoredSnapshot;
  batches: EntryBatch[] = [];
  /** Which group it knows to belong to, also after a restart. */
  identity = '';
  /** Entries up to here are gone. */
  base = 0;
  /** Whether the process is paused: it exists and does nothing. */
  paused = false;
  /** Writes rarely finish. */
  slowDisk = false;
  /** How fast its clock runs. */
  clockRate = 1;
  nextTickAt = 0;
  /** What the observer saw of it last. */
  readonly seen = { term: 0, commit: 0, matches: new Map<number, number>(), leadership: {} };

  constructor(id: number, initial: Configuration) {
    this.id = id;
    this.snapshot = { index: 0, term: 0, configuration: initial };
  }

  get storedEnd(): number {
    const last = this.batches.at(-1);
    return last === undefined ? this.base : endOf(last);
  }

  storedTerm(index: number): number | undefined {
    if (index === this.snapshot.index) return this.snapshot.term;
    return this.batches.find((it) => it.index <= index && endOf(it) >= index)?.term;
  }

  holds(index: number, term: number): boolean {
    return this.snapshot.index >= index || this.storedTerm(index) === term;
  }

  /** What the core is told at a start. */
  get shape(): LogShape {
    const { snapshot, base } = this;
    const runs: { index: number; term: number }[] = [];
    const configurations: PlacedConfiguration[] = [
      { index: snapshot.index, configuration: snapshot.configuration },
    ];
    for (const batch of this.batches) {
      const { index, term, payload } = batch;
      if (runs.at(-1)?.term !== term) runs.push({ index: Math.max(index, base + 1), term });
      if (index > snapshot.index && isConfigurationEntry(batch)) {
        configurations.push({ index, configuration: decodeConfiguration(payload) });
      }
    }
    return {
      baseIndex: base,
      baseTerm: base === snapshot.index ? snapshot.term : undefined,
      runs,
      last: this.storedEnd,
      snapshotIndex: snapshot.index,
      snapshotTerm: snapshot.term,
      configurations,
    };
  }

  /** The process ends: of the writes some had reached the disk, the last of them in part. */
  crash(random: Random): void {
    const kept = random.below(this.writes.length + 1);
    for (const write of this.writes.slice(0, kept)) this.store(write);
    const torn = this.writes[kept];
    if (torn !== undefined && random.below(2) === 0) {
      const batches = torn.batches.slice(0, random.below(torn.batches.length + 1));
      this.store({ ...torn, batches });
    }
    this.raft = undefined;
    this.writes = [];
    this.paused = false;
  }

  store({ hardState, snapshot, truncateTo, batches }: Write): void {
    if (hardState !== undefined) this.hardState = hardState;
    if (snapshot !== undefined) {
      const arrived = this.received.get(snapshot.index);
      must(arrived !== undefined, 'a snapshot that is to be installed has arrived');
      this.snapshot = arrived;
      this.base = snapshot.index;
      this.batches = [];
    }
    if (truncateTo !== undefined) {
      this.batches = this.batches.filter((it) => it.index <= truncateTo);
    }
    for (const batch of batches) {
      must(batch.index === this.storedEnd + 1, 'a write continues what is on the disk');
      this.batches.push(batch);
    }
  }

  /** Snapshots that arrived, by index: the driver fetches them before the core hears of them. */
  readonly received = new Map<number, StoredSnapshot>();

  /** A snapshot of its own, of what is committed and on disk here. Entries up to `base` are dropped. */
  compact(raft: Raft, index: number, base: number): void {
    const { log } = raft;
    this.snapshot = {
      index,
      term: log.termAt(index)!,
      configuration: log.configurationAt(index),
    };
    this.base = base;
    this.batches = this.batches
      .filter((it) => endOf(it) > base)
      .map((it) => sliceBatch(it, base + 1));
    raft.compact(index, base);
  }

  /** Answers what the core asks its disk for. */
  read(from: number): readonly EntryBatch[] | 'later' {
    if (this.writes.some((it) => it.snapshot !== undefined || it.truncateTo !== undefined)) {
      return 'later';
    }
    const all = [...this.batches, ...this.writes.flatMap((it) => it.batches)];
    const found = all.find((it) => it.index <= from && endOf(it) >= from);
    return found === undefined ? [] : [sliceBatch(found, from)];
  }
}
