import type { Command } from 'commander';
import { restoreLostMajority } from '../../raft/index.ts';
import { realPorts } from '../../runtime/index.ts';
import { atLeast, type Cli } from './cli-context.ts';

interface Flags {
  group: string;
  member: number;
  address: string;
  directory: string;
  acceptLoss?: boolean;
}

/** `raft-restore`: the last resort, when a majority of a Raft group is gone for good. */
export function addRestoreCommand(program: Command, cli: Cli): void {
  program
    .command('raft-restore')
    .description('go on with one member of a Raft group after a majority is lost for good')
    .requiredOption('--group <id>', 'the group')
    .requiredOption('--member <id>', 'the member that is left; it must not run', atLeast(1))
    .requiredOption('--address <host:port>', 'where it will listen')
    .requiredOption('-d, --directory <path>', 'its folder, or that of its host')
    .option('--accept-loss', 'do it; without this, only say what would be kept')
    .action((flags: Flags) =>
      cli.run(async (output) => {
        const { group: groupId, member: id, address, acceptLoss = false } = flags;
        const restored = await restoreLostMajority({
          // Paths start where the user is, so that errors name the folder as the user did.
          ports: realPorts({ directory: '' }),
          groupId,
          member: { id, address },
          directory: flags.directory,
          dryRun: !acceptLoss,
        });
        const { keptUpTo, lastTerm, membersBefore } = restored;
        const others = membersBefore.filter((it) => it !== id).join(', ');
        output.result(
          restored,
          [
            `member ${id} has everything up to entry ${keptUpTo}, the last of term ${lastTerm}; that is kept`,
            `what members ${others} had beyond that is lost, even if it was acknowledged`,
            acceptLoss
              ? `member ${id} is a group of its own now: start it, and add new members to it`
              : 'nothing was changed; compare the members that are left, and add --accept-loss at the one with the largest term and entry',
          ].join('\n'),
        );
      }),
    );
}
