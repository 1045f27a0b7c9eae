import type { Command } from 'commander';
import type { Cli } from './commands/cli-context.ts';

interface CommandModule {
  /** The commands that it adds. */
  readonly names: readonly string[];
  load(): Promise<(program: Command, cli: Cli) => void>;
}

/** In the order of the help. Loaded when they are asked for: some bring a whole node, or the runtime of machines. */
export const COMMAND_MODULES: readonly CommandModule[] = [
  {
    names: ['up', 'server'],
    load: async () => (await import('./commands/cluster.ts')).addClusterCommands,
  },
  {
    names: ['read', 'tail', 'trim', 'append'],
    load: async () => (await import('./commands/records.ts')).addRecordCommands,
  },
  {
    names: ['fence'],
    load: async () => (await import('./commands/fence.ts')).addFenceCommand,
  },
  {
    names: ['topic'],
    load: async () => (await import('./commands/topics.ts')).addTopicCommands,
  },
  {
    names: ['consumer'],
    load: async () => (await import('./commands/consumers.ts')).addConsumerCommands,
  },
  {
    names: ['export', 'import'],
    load: async () => (await import('./commands/backup.ts')).addBackupCommands,
  },
  {
    names: ['capture'],
    load: async () => (await import('./commands/capture.ts')).addCaptureCommand,
  },
  {
    names: ['log-stream'],
    load: async () => (await import('./commands/log-streams.ts')).addLogStreamCommands,
  },
  {
    names: ['skip'],
    load: async () => (await import('./commands/skip.ts')).addSkipCommand,
  },
  {
    names: ['upgrade'],
    load: async () => (await import('./commands/upgrade.ts')).addUpgradeCommand,
  },
  {
    names: ['replay'],
    load: async () => (await import('./commands/replay.ts')).addReplayCommand,
  },
  {
    names: ['why'],
    load: async () => (await import('./commands/why.ts')).addWhyCommand,
  },
  {
    names: ['node'],
    load: async () => (await import('./commands/nodes.ts')).addNodeCommands,
  },
  {
    names: ['member'],
    load: async () => (await import('./commands/members.ts')).addMemberCommands,
  },
  {
    names: ['status', 'doctor'],
    load: async () => (await import('./commands/diagnosis.ts')).addDiagnosisCommands,
  },
  {
    names: ['repair'],
    load: async () => (await import('./commands/repair.ts')).addRepairCommand,
  },
  {
    names: ['raft-inspect'],
    load: async () => (await import('./commands/raft-inspect.ts')).addRaftInspectCommand,
  },
  {
    names: ['raft-destroy'],
    load: async () => (await import('./commands/raft-destroy.ts')).addRaftDestroyCommand,
  },
  {
    names: ['raft-restore'],
    load: async () => (await import('./commands/restore.ts')).addRestoreCommand,
  },
];

/** Adds the commands that these arguments name; all of them where they name none, as for help. */
export async function addCommands(
  program: Command,
  cli: Cli,
  args: readonly string[],
): Promise<void> {
  const named = COMMAND_MODULES.filter((it) => it.names.some((name) => args.includes(name)));
  for (const { load } of named.length > 0 ? named : COMMAND_MODULES) (await load())(program, cli);
}
