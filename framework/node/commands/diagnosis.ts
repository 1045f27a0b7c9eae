import type { Command } from 'commander';
import { realPorts } from '../../runtime/index.ts';
import { table } from '../output.ts';
import type { Cli } from './cli-context.ts';

const SLOW_SYNC_MS = 20;
const SYNC_SAMPLES = 20;

/** `status` and `doctor`: is it well, and if not, why. */
export function addDiagnosisCommands(program: Command, cli: Cli): void {
  program
    .command('status')
    .description('the cluster on one screen')
    .action(() =>
      cli.withClient(async (varlog, output) => {
        const status = await varlog.status();
        output.result(
          status,
          [
            `cluster ${status.clusterId}, leader: member ${status.leader ?? 'none'}`,
            table(
              ['MEMBER', 'ADDRESS'],
              status.members.map((it) => [it.id, it.address]),
            ),
            table(
              ['STORAGE NODE', 'ADDRESS', 'STATE'],
              status.storageNodes.map((it) => [it.id, it.address, it.alive ? 'up' : 'down']),
            ),
            table(
              ['TOPIC', 'LOG STREAM', 'STATE', 'REPLICAS (PRIMARY FIRST)'],
              status.topics.flatMap((topic) =>
                topic.logStreams.map((it) => [topic.id, it.id, it.state, it.replicas.join(', ')]),
              ),
            ),
          ].join('\n\n'),
        );
      }),
    );

  program
    .command('doctor')
    .description('look for what keeps a cluster from working well on this machine')
    .option('-d, --directory <path>', 'the folder whose disk to try', '.')
    .action((flags: { directory: string }) =>
      cli.run(async (output) => {
        const findings = [nodeVersion(), await diskSpeed(flags.directory), await reachability(cli)];
        for (const it of findings) output.result(it, `${it.ok ? 'ok  ' : 'BAD '} ${it.what}`);
        if (findings.some((it) => !it.ok)) process.exitCode = 1;
      }),
    );
}

interface Finding {
  ok: boolean;
  what: string;
}

function nodeVersion(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const ok = major > 20 || (major === 20 && minor >= 19);
  return { ok, what: `Node.js ${process.versions.node}${ok ? '' : ': 20.19 or newer is needed'}` };
}

async function diskSpeed(directory: string): Promise<Finding> {
  const name = 'varlog-doctor.tmp';
  const { disk, clock } = realPorts({ directory });
  try {
    const file = await disk.open(name, 'create');
    const times: number[] = [];
    for (let i = 0; i < SYNC_SAMPLES; i++) {
      const start = clock.now();
      await file.write(i * 4096, [new Uint8Array(4096)]);
      await file.sync();
      times.push(clock.now() - start);
    }
    await file.close();
    await disk.remove(name);
    const median = times.sort((a, b) => a - b)[SYNC_SAMPLES / 2]!;
    const ok = median <= SLOW_SYNC_MS;
    const advice = ok ? '' : ': every append waits for this; use a faster disk';
    return { ok, what: `disk of ${directory}: fdatasync takes ${median.toFixed(2)} ms${advice}` };
  } catch (error) {
    return { ok: false, what: error instanceof Error ? error.message : String(error) };
  }
}

async function reachability(cli: Cli): Promise<Finding> {
  try {
    const status = await cli.ask((varlog) => varlog.status());
    if (status.leader === undefined) {
      return { ok: false, what: 'the metadata repository has no leader: start a majority of it' };
    }
    const down = status.storageNodes.filter((it) => !it.alive).map((it) => it.id);
    if (down.length > 0) return { ok: false, what: `storage nodes down: ${down.join(', ')}` };
    return { ok: true, what: `cluster ${status.clusterId} answers, every storage node is up` };
  } catch (error) {
    return { ok: false, what: error instanceof Error ? error.message : String(error) };
  }
}
