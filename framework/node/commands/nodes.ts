import type { Command } from 'commander';
import { table } from '../output.ts';
import { atLeast, type Cli } from './cli-context.ts';

/** `node …`: list storage nodes, and give up the disk of one. */
export function addNodeCommands(program: Command, cli: Cli): void {
  const node = program.command('node').description('list storage nodes, replace lost ones');

  node
    .command('ls')
    .description('list the storage nodes')
    .action(() =>
      cli.withClient(async (varlog, output) => {
        const { storageNodes } = await varlog.status();
        const rows = storageNodes.map((it) => [it.id, it.address, it.alive ? 'up' : 'down']);
        output.result(storageNodes, table(['STORAGE NODE', 'ADDRESS', 'STATE'], rows));
      }),
    );

  node
    .command('replace')
    .description(
      "give up a storage node's disk, which is lost for good, and let another take its place",
    )
    .argument('<node>', 'storage node id', atLeast(1))
    .option('--disk <id>', 'the disk that takes its place; default: the next one that comes')
    .option('--force', 'also while the node is up with the disk that it has')
    .action((id: number, options: { disk?: string; force?: boolean }) =>
      cli.withClient(async (varlog, output) => {
        await varlog.replaceStorageNode(id, options);
        const { disk } = options;
        const by = disk === undefined ? 'the next disk that comes' : `disk ${disk}`;
        output.result({ id, disk }, `storage node ${id} is ${by} from now on`);
      }),
    );
}
