import type { Command } from 'commander';
import { VarlogError } from '../../base/index.ts';
import type { Retention, TopicKeeper, TopicUsage } from '../../log/index.ts';
import { table } from '../output.ts';
import { atLeast, type Cli, type TopicArgument, topicArgument } from './cli-context.ts';
import { bytesOf, durationOf, orNone, showBytes, showDuration } from './quantity.ts';

/** What `--retain-bytes` and `--retain-for` give. */
export interface RetentionFlags {
  readonly retainBytes?: number | 'none';
  readonly retainFor?: number | 'none';
}

interface UpdateFlags extends RetentionFlags {
  readonly replicas?: number;
}

/** Lets a command say how much of a topic is kept. */
export function addRetentionOptions(command: Command): Command {
  return command
    .option('--retain-bytes <size>', 'keep so much, as 10GB, or none: all', orNone(bytesOf))
    .option(
      '--retain-for <time>',
      'keep for so long, as 7d, or none: for ever',
      orNone(durationOf),
    );
}

/** What the flags make of the retention that there is: a limit that is not mentioned stays. */
export function retentionOf(flags: RetentionFlags, current: Retention = {}): Retention {
  const { retainBytes: bytes = current.bytes, retainFor: ageMs = current.ageMs } = flags;
  return {
    ...(typeof bytes === 'number' && { bytes }),
    ...(typeof ageMs === 'number' && { ageMs }),
  };
}

/** For people, as in "keeps …". */
export function showRetention({ bytes, ageMs }: Retention): string {
  const limits = [
    ...(bytes === undefined ? [] : [showBytes(bytes)]),
    ...(ageMs === undefined ? [] : [showDuration(ageMs)]),
  ];
  return limits.length === 0 ? 'all records' : `the last ${limits.join(', at most ')}`;
}

/** `topic update`. */
export function addTopicUpdate(topic: Command, cli: Cli): void {
  const command = topic
    .command('update')
    .description(
      'change how much of a topic is kept (the rest is trimmed, as far as nobody holds it), or its copies',
    )
    .argument('<topic>', 'topic id, or varlog://host:port,host:port/topic', topicArgument)
    .option('--replicas <count>', 'copies of every record, 1 to 7', atLeast(1));
  addRetentionOptions(command).action((argument: TopicArgument, flags: UpdateFlags) =>
    cli.withTopic(argument, async (it, output) => {
      const { replicas } = flags;
      const isLimited = flags.retainBytes !== undefined || flags.retainFor !== undefined;
      if (replicas === undefined && !isLimited) {
        throw new VarlogError('INVALID_ARGUMENT', {
          what: 'it is not said what to change',
          next: 'give --retain-bytes, --retain-for or --replicas',
        });
      }
      if (replicas !== undefined) {
        await it.setReplicationFactor(replicas);
        const text = `topic ${it.id} gets ${replicas} copies of every record: "varlog status" shows how many there are`;
        output.result({ id: it.id, replicationFactor: replicas }, text);
      }
      if (!isLimited) return;
      const retention = retentionOf(flags, (await it.describe()).retention);
      await it.setRetention(retention);
      output.result({ id: it.id, retention }, `topic ${it.id} keeps ${showRetention(retention)}`);
    }),
  );
}

function showKeeper({ kind, holder }: TopicKeeper): string {
  if (kind === 'retention') return 'retention';
  return kind === 'consumer' ? `consumer "${holder}"` : `hold of "${holder}"`;
}

/** Who keeps how much of a topic, for people. */
export function explainUsage(id: number, usage: TopicUsage): string {
  const { first, last, bytes, keepers, unknown, retention, expired } = usage;
  const about = `topic ${id}: records ${first} to ${last}, about ${showBytes(bytes)} in each replica`;
  const least = keepers[0];
  const next =
    least !== undefined && least.kind !== 'retention' && expired > least.position
      ? [
          `"${least.holder}" keeps records that the retention does not: ${
            least.kind === 'consumer'
              ? `see "varlog consumer ls ${id}", and remove it when it is gone`
              : 'release the hold when that consumer is gone'
          }`,
        ]
      : [];
  return [
    about,
    `retention: ${showRetention(retention)}`,
    ...(keepers.length === 0
      ? ['nobody keeps records: a trim removes what it is told to']
      : [
          table(
            ['KEPT BY', 'NEEDS THE RECORDS BEHIND', 'BYTES', 'ONLY BY THIS ONE'],
            keepers.map((it) => [
              showKeeper(it),
              it.position,
              showBytes(it.bytes),
              showBytes(it.alone),
            ]),
          ),
        ]),
    ...(unknown.length === 0
      ? []
      : [`no replica of log stream ${unknown.join(', ')} answers: its bytes are missing here`]),
    ...next,
  ].join('\n');
}
