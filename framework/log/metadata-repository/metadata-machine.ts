import type { StateMachine } from '../../smr/index.ts';
import {
  type Metadata,
  type MetadataChanges,
  type MetadataCommand,
  type MetadataResult,
  type MetadataSnapshot,
  mergeChanges,
  reassigned,
} from '../core/index.ts';

/** The metadata as a replica runs it: what each command changes is gathered until its batch was applied. */
export class MetadataMachine
  implements StateMachine<MetadataCommand, MetadataResult, MetadataSnapshot>
{
  readonly metadata: Metadata;
  private batch: MetadataChanges[] = [];

  constructor(metadata: Metadata) {
    this.metadata = metadata;
  }

  apply(command: MetadataCommand): MetadataResult {
    const { result, changes } = this.metadata.apply(command);
    this.batch.push(changes);
    return result;
  }

  /** What the commands since the last call have changed. */
  takeChanges(): MetadataChanges {
    const changes = mergeChanges(this.batch);
    this.batch = [];
    return changes;
  }

  snapshot(): MetadataSnapshot {
    return this.metadata.snapshot();
  }

  restore(snapshot: MetadataSnapshot): void {
    this.metadata.restore(snapshot);
    // Whatever changed before and in between, only the present state counts.
    this.batch = [reassigned(this.metadata.logStreams.values())];
  }
}
