import type { Command } from 'commander';
import { sleep, VarlogError } from '../../base/index.ts';
import type { StorageNodeStatus, Varlog } from '../../log/index.ts';
import { realClock } from '../../runtime/index.ts';
import { type Output, table } from '../output.ts';
import { atLeast, type Cli } from './cli-context.ts';
import { showBytes } from './quantity.ts';

const LOOK_EVERY_MS = 250;

/** `node …`: list storage nodes, drain and remove them, and give up the disk of one. */
export function addNodeCommands(program: Command, cli: Cli): void {
  const node = program
    .command('node')
    .description('list storage nodes, drain and remove them, replace lost ones');

  node
    .command('ls')
    .alias('list')
    .description('list the storage nodes, and what the drain of one waits for')
    .action(() =>
      cli.withClient(async (varlog, output) => {
        const { storageNodes } = await varlog.status();
        output.result(storageNodes, nodeTable(storageNodes));
      }),
    );

  node
    .command('drain')
    .description('have all replicas moved to other storage nodes, so that it can be removed')
    .argument('<node>', 'storage node id', atLeast(1))
    .option('--cancel', 'let it keep what it still has, and be given replicas again')
    .option(
      '--wait <seconds>',
      'show how it gets on, for so long or until it is drained',
      atLeast(1),
    )
    .action((id: number, { cancel, wait }: { cancel?: boolean; wait?: number }) =>
      cli.withClient(async (varlog, output) => {
        if (cancel === true) {
          await varlog.undrainStorageNode(id);
          output.result({ id, drain: 'cancelled' }, `storage node ${id} is drained no longer`);
          return;
        }
        await varlog.drainStorageNode(id);
        if (wait !== undefined) return watchDrain(varlog, id, wait, output);
        const next = '"varlog node ls" shows how far it is';
        output.result({ id, drain: 'draining' }, `storage node ${id} is being drained: ${next}`);
      }),
    );

  node
    .command('remove')
    .description('take out a storage node that has no replicas, for good')
    .argument('<node>', 'storage node id', atLeast(1))
    .action((id: number) =>
      cli.withClient(async (varlog, output) => {
        await varlog.removeStorageNode(id);
        output.result({ id, removed: true }, `storage node ${id} is out: stop its process`);
      }),
    );

  node
    .command('replace')
    .description(
      "give up a storage node's disk, which is lost for good, and let another take its place",
    )
    .argument('<node>', 'storage node id', atLeast(1))
    .option('--disk <id>', 'the disk that takes its place; default: the next one that comes')
    .option(
      '--force',
      'also while the node is up with the disk that it has, or may have the only copy of records',
    )
    .action((id: number, options: { disk?: string; force?: boolean }) =>
      cli.withClient(async (varlog, output) => {
        await varlog.replaceStorageNode(id, options);
        const { disk } = options;
        const by = disk === undefined ? 'the next disk that comes' : `disk ${disk}`;
        output.result({ id, disk }, `storage node ${id} is ${by} from now on`);
      }),
    );
}

/** Whether it is up, and what is being done about it. */
export function nodeState({ alive, refusal, drain }: StorageNodeStatus): string {
  const state = alive ? 'up' : refusal === undefined ? 'down' : 'refused';
  return drain === undefined ? state : `${state}, ${drain}`;
}

/** How much its replicas take on its disk. */
export function bytesShown({ bytes }: StorageNodeStatus): string {
  return bytes === undefined ? '?' : showBytes(bytes);
}

function nodeTable(nodes: readonly StorageNodeStatus[]): string {
  const rows = nodes.map((it) => [
    it.id,
    it.address,
    nodeState(it),
    it.replicas,
    it.primaries,
    bytesShown(it),
  ]);
  const waits = nodes.flatMap((it) => it.waits.map((why) => `storage node ${it.id}: ${why}`));
  return [
    table(['STORAGE NODE', 'ADDRESS', 'STATE', 'REPLICAS', 'PRIMARY OF', 'BYTES'], rows),
    ...waits,
  ].join('\n');
}

async function watchDrain(
  varlog: Varlog,
  id: number,
  seconds: number,
  output: Output,
): Promise<void> {
  const clock = realClock();
  const deadline = clock.now() + seconds * 1_000;
  let last = '';
  for (;;) {
    const node = (await varlog.status()).storageNodes.find((it) => it.id === id);
    if (node === undefined) {
      throw new VarlogError('NOT_FOUND', {
        what: `there is no storage node ${id} any more`,
        next: 'list the storage nodes: it was removed meanwhile',
      });
    }
    if (node.drain === 'drained') {
      const next = `"varlog node remove ${id}" takes it out`;
      output.result({ id, drain: node.drain }, `storage node ${id} is drained: ${next}`);
      return;
    }
    const { replicas, primaries, waits } = node;
    const now = [`${replicas} replicas left, ${primaries} of them primaries`, ...waits].join('; ');
    if (now !== last) output.note(`storage node ${id}: ${now}`);
    last = now;
    if (node.drain === undefined || clock.now() > deadline) {
      const why = node.drain === undefined ? 'the drain was cancelled' : now;
      output.result({ id, drain: node.drain, replicas, waits }, `not drained: ${why}`);
      process.exitCode = 1;
      return;
    }
    await sleep(clock, LOOK_EVERY_MS);
  }
}
