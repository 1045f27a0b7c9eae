import type { Command } from 'commander';
import { destroyStoppedMember } from '../../raft/index.ts';
import { realPorts } from '../../runtime/index.ts';
import type { Cli } from './cli-context.ts';

interface Flags {
  group: string;
  identity?: string;
}

/** `raft-destroy`: ends a host's member of a Raft group that is not needed any more. */
export function addRaftDestroyCommand(program: Command, cli: Cli): void {
  program
    .command('raft-destroy')
    .description('destroy for good what a host that does not run has of a Raft group')
    .argument('<folder>', 'the folder of the host')
    .requiredOption('--group <id>', 'the group')
    .option('--identity <id>', 'that of the group: do it; without this, only say what there is')
    .action((directory: string, { group: groupId, identity }: Flags) =>
      cli.run(async (output) => {
        // Paths start where the user is, so that errors name the folder as the user did.
        const ports = realPorts({ directory: '' });
        const report = await destroyStoppedMember({ ports, directory, groupId, identity });
        const { memberId, destroyed } = report;
        const who = `member ${memberId} of group ${groupId} with the identity ${report.identity}`;
        output.result(
          report,
          destroyed
            ? `${who} is destroyed: nothing brings it back, and its files are freed; its other members are destroyed each on its own host`
            : `${who} is whole, nothing was changed; to destroy it for good add --identity ${report.identity}`,
        );
      }),
    );
}
