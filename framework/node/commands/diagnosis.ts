import type { Command } from 'commander';
import type { ClusterStatus, LogStreamStatus } from '../../log/index.ts';
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
            `cluster ${status.cluster}, number ${status.clusterId}, leader: member ${status.leader ?? 'none'}`,
            table(
              ['MEMBER', 'ADDRESS', 'STATE'],
              status.members.map((it) => [it.id, it.address, it.state]),
            ),
            table(
              ['STORAGE NODE', 'ADDRESS', 'STATE', 'DISK'],
              status.storageNodes.map((it) => [
                it.id,
                it.address,
                it.alive ? 'up' : 'down',
                it.disk,
              ]),
            ),
            table(
              ['TOPIC', 'LOG STREAM', 'STATE', 'IN SYNC', 'REPLICAS (PRIMARY FIRST)'],
              status.topics.flatMap((topic) => topic.logStreams.map((it) => row(topic.id, it))),
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
        const findings = [
          nodeVersion(),
          await diskSpeed(flags.directory),
          ...(await reachability(cli)),
        ];
        for (const it of findings) output.result(it, `${it.ok ? 'ok  ' : 'BAD '} ${it.what}`);
        if (findings.some((it) => !it.ok)) process.exitCode = 1;
      }),
    );
}

function row(topic: number, stream: LogStreamStatus): (string | number)[] {
  const { id, state, held, inSync, replicas } = stream;
  const described = replicas.map((it) => {
    const well = it.member && it.state === state;
    const behind = it.behind > 0 ? `, ${it.behind} behind` : '';
    return well ? `${it.node}` : `${it.node} (${it.state}${behind})`;
  });
  const by = held ? `${state} by an operator` : state;
  return [topic, id, by, `${inSync} of ${replicas.length}`, described.join(', ')];
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

async function reachability(cli: Cli): Promise<Finding[]> {
  try {
    const status = await cli.ask((varlog) => varlog.status());
    if (status.leader === undefined) {
      const what = 'the metadata repository has no leader: start a majority of it';
      return [{ ok: false, what }];
    }
    const problems = problemsOf(status);
    if (problems.length > 0) return problems.map((what) => ({ ok: false, what }));
    const what = `cluster ${status.cluster} answers, every node is up, every log stream is whole`;
    return [{ ok: true, what }];
  } catch (error) {
    return [{ ok: false, what: error instanceof Error ? error.message : String(error) }];
  }
}

/** What is not as it should be, a sentence each, with what to do. */
function problemsOf({ members, storageNodes, topics }: ClusterStatus): string[] {
  const ill = members.filter((it) => it.state !== 'up');
  const down = storageNodes.filter((it) => !it.alive);
  const streams = topics.flatMap((topic) => topic.logStreams);
  return [
    ...ill.map(
      (it) =>
        `metadata repository member ${it.id} at ${it.address} is not up (${it.state}): see its log`,
    ),
    ...down.map((it) => `storage node ${it.id} at ${it.address} is down: start it, or see its log`),
    ...streams
      .filter((it) => it.held)
      .map((it) => `log stream ${it.id} was sealed by an operator: unseal it to append to it`),
    ...streams
      .filter((it) => it.state === 'sealed' && !it.held)
      .map((it) => `log stream ${it.id} takes no appends: too few of its replicas are whole`),
    ...streams.flatMap((it) =>
      it.replicas
        .filter((replica) => !replica.member || replica.state !== it.state)
        .map(
          (replica) =>
            `log stream ${it.id} has ${it.inSync} of ${it.replicas.length} copies: the one on storage node ${replica.node} is ${replica.state}`,
        ),
    ),
  ];
}
