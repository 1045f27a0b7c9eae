import type { Command } from 'commander';
import { reasonOf } from '../../base/index.ts';
import type { LogStreamReplicaStatus, LogStreamStatus, TopicStatus } from '../../log/index.ts';
import { realPorts } from '../../runtime/index.ts';
import { table } from '../output.ts';
import type { Cli } from './cli-context.ts';
import { memberTable } from './members.ts';
import { bytesShown, nodeState } from './nodes.ts';
import { problemOfParked, problemsOf, SLOW_WRITE_MS, sentenceOf, sentencesOf } from './problems.ts';
import { showRetention } from './retention.ts';

const SLOW_SYNC_MS = 20;
const SYNC_SAMPLES = 20;
/** A disk that is slow is not tried for longer. */
const SYNC_TRIAL_MS = 3_000;

/** `status` and `doctor`: is it well, and if not, why. */
export function addDiagnosisCommands(program: Command, cli: Cli): void {
  program
    .command('status')
    .description('the cluster on one screen')
    .action(() =>
      cli.withClient(async (varlog, output) => {
        const status = await varlog.status();
        const problems = sentencesOf(problemsOf(status));
        output.result(
          status,
          [
            `cluster ${status.cluster}, number ${status.clusterId}, feature level ${status.featureLevel}, leader: member ${status.leader ?? 'none'}`,
            memberTable(status.members),
            table(
              ['STORAGE NODE', 'ADDRESS', 'STATE', 'BYTES', 'SLOWEST WRITE', 'DISK'],
              status.storageNodes.map((it) => [
                it.id,
                it.address,
                nodeState(it),
                bytesShown(it),
                it.slowestWriteMs === undefined ? '?' : `${it.slowestWriteMs} ms`,
                it.disk,
              ]),
            ),
            table(
              ['TOPIC', 'LOG STREAM', 'STATE', 'IN SYNC', 'REPLICAS (PRIMARY FIRST)'],
              status.topics.flatMap((topic) => topic.logStreams.map((it) => row(topic.id, it))),
            ),
            ...retentionTable(status.topics),
            ...(problems.length === 0 ? [] : [['What is wrong:', ...problems].join('\n')]),
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
          ...(await parkedRecords(cli)),
        ];
        for (const it of findings) output.result(it, `${it.ok ? 'ok  ' : 'BAD '} ${it.what}`);
        if (findings.some((it) => !it.ok)) process.exitCode = 1;
      }),
    );
}

/** Of those topics that have one. */
function retentionTable(topics: readonly TopicStatus[]): string[] {
  const limited = topics.filter(({ retention }) => Object.keys(retention).length > 0);
  if (limited.length === 0) return [];
  const rows = limited.map(({ id, retention }) => [id, showRetention(retention)]);
  return [table(['TOPIC', 'KEEPS'], rows)];
}

function row(topic: number, stream: LogStreamStatus): (string | number)[] {
  const { id, state, sealedByOperator, inSync, replicas, replicationFactor } = stream;
  const described = replicas.map((it) => {
    const well = it.member && it.state === state && !it.full;
    if (it.move === 'leaves') return `${it.node} (leaves)`;
    return well ? `${it.node}` : `${it.node} (${replicaState(it)})`;
  });
  const by = sealedByOperator ? `${state} by an operator` : state;
  return [topic, id, by, `${inSync} of ${replicationFactor}`, described.join(', ')];
}

function replicaState({ state, behind, end, target, full }: LogStreamReplicaStatus): string {
  const far = state === 'rebuilding' ? `, has ${end} of ${target}` : '';
  const late = far === '' && behind > 0 ? `, ${behind} behind` : '';
  return `${state}${far}${late}${full ? ', disk full' : ''}`;
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
    // A folder that is not there is not made: one that was mistyped would be tried in its place.
    await disk.syncDirectory('');
    const file = await disk.open(name, 'create');
    const times: number[] = [];
    try {
      const until = clock.now() + SYNC_TRIAL_MS;
      for (let i = 0; i < SYNC_SAMPLES && clock.now() < until; i++) {
        const start = clock.now();
        await file.write(i * 4096, [new Uint8Array(4096)]);
        await file.sync();
        times.push(clock.now() - start);
      }
    } finally {
      // Also when the disk turned out to be full: what was tried is not left on it.
      await file.close();
      await disk.remove(name);
    }
    times.sort((a, b) => a - b);
    const median = times[Math.floor(times.length / 2)]!;
    const slowest = times.at(-1)!;
    const ok = median <= SLOW_SYNC_MS && slowest < SLOW_WRITE_MS;
    const advice = ok ? '' : ': every append waits for this; use a faster disk';
    const took = `${median.toFixed(2)} ms, at the most ${slowest.toFixed(2)} ms`;
    return { ok, what: `disk of ${directory}: fdatasync takes ${took}${advice}` };
  } catch (error) {
    return { ok: false, what: reasonOf(error) };
  }
}

/** What consumers have put aside waits for a person. A cluster that does not answer was told of before. */
async function parkedRecords(cli: Cli): Promise<Finding[]> {
  try {
    return await cli.ask(async (varlog) => {
      const topics = await varlog.topics();
      const lists = topics.map(async ({ id }) => {
        const consumers = await varlog.topic(id).consumers.list();
        return consumers.flatMap((it) => problemOfParked(id, it) ?? []);
      });
      const problems = (await Promise.all(lists)).flat();
      return problems.map((it) => ({ ok: false, what: sentenceOf(it) }));
    });
  } catch {
    return [];
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
    if (problems.length > 0) return sentencesOf(problems).map((what) => ({ ok: false, what }));
    const what = `cluster ${status.cluster} answers, every node is up, every log stream is whole`;
    return [{ ok: true, what }];
  } catch (error) {
    return [{ ok: false, what: reasonOf(error) }];
  }
}
