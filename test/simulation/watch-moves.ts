import {
  type LogStreamState,
  Metadata,
  type MetadataCommand,
  stayingOf,
} from '../../framework/log/core/index.ts';
import type { NodeRoles } from '../../framework/log/roles/index.ts';
import type { World } from '../../framework/testing/index.ts';
import { must } from './memory.ts';
import { replace } from './planted-defect.ts';

/** What a step of a move does to the replicas of a log stream. */
export interface MoveStep {
  /** Storage nodes whose replicas are told to leave by it. */
  readonly told: readonly number[];
  /** Those that have none any more. */
  readonly gone: readonly number[];
  /** Those whose replicas were being made. */
  readonly wasJoining: readonly number[];
}

interface Watched {
  readonly world: World;
  /** How many replicas each log stream is to have. */
  readonly factor: number;
  rolesOf(name: string): NodeRoles | undefined;
  saw(step: MoveStep, metadata: Metadata): void;
}

/**
 * Looks at every step that any member of a cluster takes, until what it returns is called. A replica goes only after it was
 * told to leave, and when all that stay have what the epoch began with, on their disks; a log stream never has fewer
 * replicas than it is to have. Storage node 1 is `n1`, and so on.
 */
export function watchMoves(watched: Watched): () => void {
  const { apply } = Metadata.prototype;
  const watch = new MoveWatch(watched);
  return replace(Metadata.prototype, 'apply', function (this: Metadata, command) {
    const id = 'id' in command ? command.id : 0;
    const known = this.logStreams.get(id);
    const before = known && { ...known };
    const applied = apply.call(this, command);
    const after = this.logStreams.get(id);
    if (!applied.result.ok || before === undefined || after === undefined) return applied;
    try {
      watch.check(this, command, before, after);
    } catch (error) {
      watched.world.fail(error);
    }
    return applied;
  });
}

class MoveWatch {
  private readonly watched: Watched;
  /** Where each epoch of a log stream began, and which of its steps were looked at already. */
  private readonly begun = new Map<string, number>();
  private readonly seen = new Set<string>();

  constructor(watched: Watched) {
    this.watched = watched;
  }

  check(
    metadata: Metadata,
    command: MetadataCommand,
    before: LogStreamState,
    after: LogStreamState,
  ): void {
    const { id, epoch, replicas, joining, end } = after;
    if (command.kind === 'unseal') this.begun.set(`${id} ${epoch}`, end);
    if (command.kind !== 'moveReplicas') return;
    const step = `${id} ${after.revision}`;
    if (this.seen.has(step)) return;
    this.seen.add(step);
    must(
      replicas.length - joining.length >= Math.min(this.watched.factor, before.replicas.length),
      `log stream ${id} has the replicas ${replicas}, of which ${joining} are new`,
    );
    const told = after.leaving.filter((it) => !before.leaving.includes(it));
    const gone = before.replicas.filter((it) => !replicas.includes(it));
    this.watched.saw({ told, gone, wasJoining: before.joining }, metadata);
    if (gone.every((it) => before.joining.includes(it))) return;
    for (const node of gone) {
      must(before.leaving.includes(node), `${node} of log stream ${id} was not told to leave`);
    }
    // As this member knows it: where others have gone on, they have at least as much.
    const start = this.begun.get(`${id} ${epoch}`) ?? 0;
    for (const node of stayingOf(after)) {
      const core = this.watched.rolesOf(`n${node}`)?.storageNode?.replicas.get(id)?.core;
      if (core === undefined || core.state === 'failed') continue;
      must(
        core.durableEnd >= start,
        `log stream ${id} has lost ${gone}, and ${node} has ${core.durableEnd} of ${start}`,
      );
    }
  }
}
