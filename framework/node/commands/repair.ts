import type { Command } from 'commander';
import { sleep } from '../../base/index.ts';
import type { ClusterStatus, LogStreamStatus, ReplicaStatus } from '../../log/index.ts';
import { realClock } from '../../runtime/index.ts';
import { atLeast, type Cli } from './cli-context.ts';

const LOOK_EVERY_MS = 250;

/** `repair`: watches the cluster repair itself, and says what it did and what it cannot do. */
export function addRepairCommand(program: Command, cli: Cli): void {
  program
    .command('repair')
    .description('watch the cluster repair itself; says what was done and what needs a person')
    .option('--seconds <count>', 'how long to wait for what is under way', atLeast(1), 60)
    .action(({ seconds }: { seconds: number }) =>
      cli.withClient(async (varlog, output) => {
        const clock = realClock();
        const deadline = clock.now() + seconds * 1_000;
        const begun = new Map<string, string>();
        for (;;) {
          const wrong = ailmentsOf(await varlog.status());
          for (const [copy, what] of wrong) {
            if (begun.get(copy) === what) continue;
            begun.set(copy, what);
            output.note(`${copy}: ${what}`);
          }
          for (const copy of begun.keys()) {
            if (wrong.has(copy)) continue;
            begun.delete(copy);
            output.result({ copy, state: 'whole' }, `${copy}: whole again`);
          }
          if (wrong.size === 0) {
            output.result({ whole: true }, 'every log stream has all of its copies');
            return;
          }
          if (clock.now() > deadline) {
            const left = [...wrong].map(([copy, what]) => `${copy}: ${what}`);
            output.result({ whole: false, left }, ['not repaired:', ...left].join('\n'));
            process.exitCode = 1;
            return;
          }
          await sleep(clock, LOOK_EVERY_MS);
        }
      }),
    );
}

/** Copies that are not as they should be, and what is being done about each or must be. */
function ailmentsOf({ topics, storageNodes }: ClusterStatus): Map<string, string> {
  const disks = new Map(storageNodes.map((it) => [it.id, it]));
  const wrong = new Map<string, string>();
  for (const stream of topics.flatMap((it) => it.logStreams)) {
    if (stream.held) {
      wrong.set(`log stream ${stream.id}`, 'an operator sealed it, and must unseal it');
      continue;
    }
    for (const replica of stream.replicas) {
      if (replica.member && replica.state === stream.state && stream.state === 'open') continue;
      const { node } = replica;
      wrong.set(
        `log stream ${stream.id} on storage node ${node}`,
        remedyFor(replica, stream, disks.get(node)?.address ?? '?'),
      );
    }
  }
  return wrong;
}

function remedyFor(replica: ReplicaStatus, stream: LogStreamStatus, address: string): string {
  const { node, state, behind, failure } = replica;
  switch (state) {
    case 'unreachable':
      return `the node at ${address} is down: start it, or run "varlog node replace ${node}" when its disk is lost`;
    case 'learning':
    case 'rebuilding':
    case 'sealing':
      return `is being copied from another one, ${behind} records to go`;
    case 'damaged':
    case 'failed':
      return `${state}${failure === undefined ? '' : ` (${failure})`}: begins anew as soon as a good copy is there; if it stays so, see the log of the node at ${address}`;
    default:
      return stream.state === 'sealed'
        ? `${state}: the log stream opens again when enough copies are whole`
        : `${state}: is taken in again soon`;
  }
}
