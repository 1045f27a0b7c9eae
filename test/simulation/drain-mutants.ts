import {
  drainStorageNode,
  moveReplicas,
  preferPrimary,
} from '../../framework/log/core/commands/index.ts';
import { CutPlanner, Loads, NO_CHANGES } from '../../framework/log/core/index.ts';
import { type PlantedDefect, replace } from './planted-defect.ts';

/** Ways to move replicas wrongly, each in one place; what they return mends it. */
export const DRAIN_MUTANTS: Readonly<Record<string, PlantedDefect>> = {
  'a replica goes as soon as another one comes': () => {
    const { apply } = moveReplicas;
    return replace(moveReplicas, 'apply', (state, command) => {
      const applied = apply(state, command);
      const stream = state.logStreams.get(command.id);
      if (!applied.result.ok || stream === undefined) return applied;
      stream.replicas = stream.replicas.filter((it) => !stream.leaving.includes(it));
      stream.members = stream.members.filter((it) => stream.replicas.includes(it));
      stream.leaving = [];
      return applied;
    });
  },
  'what a newcomer has is not looked at': () => {
    const { reportOf } = CutPlanner.prototype;
    return replace(CutPlanner.prototype, 'reportOf', function (this: CutPlanner, id, node) {
      const report = reportOf.call(this, id, node);
      const stream = this['metadata'].logStreams.get(id);
      if (report?.state !== 'learning' && report?.state !== 'sealing') return report;
      if (stream === undefined) return report;
      const { epoch, end, sealed, members } = stream;
      if (sealed) return { ...report, state: 'sealed', epoch, end };
      return members.includes(node) ? { ...report, state: 'open', epoch } : { ...report, end };
    });
  },
  'a drain is forgotten': () =>
    replace(drainStorageNode, 'apply', (state, command) => {
      const node = state.storageNodes.get(command.id);
      if (node !== undefined) node.draining = false;
      return { result: { ok: true, value: 0 }, changes: NO_CHANGES };
    }),
  'nodes that are nearly even are taken for uneven': () => {
    const { add } = Loads.prototype;
    return replace(Loads.prototype, 'add', function (this: Loads, load, node, count) {
      add.call(this, load, node, 2 * count);
    });
  },
  'what an operator prefers is forgotten': () => {
    const { apply } = preferPrimary;
    return replace(preferPrimary, 'apply', (state, command) => {
      const applied = apply(state, command);
      const stream = state.logStreams.get(command.id);
      if (stream !== undefined) stream.preferred = 0;
      return applied;
    });
  },
};
