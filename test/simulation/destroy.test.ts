import { type DestroyedGroup, DestroyedGroups } from '../../framework/raft/destroyed-groups.ts';
import { RaftHost } from '../../framework/raft/index.ts';
import { describeScenario } from './describe-scenario.ts';
import { destroyScenario } from './destroy-scenario.ts';
import { planted, replace } from './planted-defect.ts';

/** Tombstones in memory alone. */
function forgetsTombstones(): () => void {
  return replace(
    DestroyedGroups.prototype,
    'bury',
    async function (this: DestroyedGroups, group: DestroyedGroup) {
      const { tombstones } = this as unknown as { tombstones: Map<string, DestroyedGroup> };
      tombstones.set(group.groupId, group);
    },
  );
}

/** What a crash left of a group is not looked for. */
function leavesFiles(): () => void {
  return replace(DestroyedGroups.prototype, 'clear', async () => {});
}

/** Destroys what has the name. */
function looksAtNames(): () => void {
  const { destroyGroup } = RaftHost.prototype;
  return replace(RaftHost.prototype, 'destroyGroup', async function (this: RaftHost, options) {
    const { groups } = this as unknown as {
      groups: Map<string, { status: { identity?: string } }>;
    };
    const identity = groups.get(options.groupId)?.status.identity ?? options.identity;
    return destroyGroup.call(this, { ...options, identity });
  });
}

const broken = planted(
  {
    'a tombstone is not kept': forgetsTombstones,
    'files are not freed': leavesFiles,
    'a group is destroyed by its name alone': looksAtNames,
  },
  destroyScenario,
);

describeScenario('members of a Raft group that are destroyed', {
  holds: 'they never come back, and nothing else is lost',
  scenario: destroyScenario,
  seeds: 3,
  broken,
});
