#!/usr/bin/env node
import { createInterface } from 'node:readline';
import { Command } from 'commander';
import { reasonOf, Varlog, VarlogError } from 'varlog/log';
import { tlsFromEnvironment } from 'varlog/node';
import { tokenOption, tokensOf } from '../tokens.ts';
import { topicAddress } from '../topic-address.ts';
import { WalFollower } from './follower.ts';
import { walTopic } from './wal-topic.ts';
import { WalWriter } from './writer.ts';

interface Flags {
  readonly directory: string;
  readonly varlog: string;
  readonly topic?: string;
}

type Answer = (verb: string, key: string, value: string) => Promise<string>;

const program = new Command('wal')
  .description('an embedded store that writes ahead to a topic')
  .addOption(tokenOption());

added(
  'write',
  'take over as the one writer; lines of the input: put KEY VALUE, delete KEY, get KEY, checkpoint',
).action(async (flags: Flags) => {
  const { endpoints, topic } = topicAddress(flags.varlog, flags.topic);
  await using varlog = await connected(endpoints);
  await using writer = await WalWriter.open(walTopic(varlog, topic), flags.directory);
  await answerLines(async (verb, key, value) => {
    if (verb === 'get') return (await writer.get(key)) ?? 'not found';
    if (verb === 'put') return `written at ${await writer.put(key, value)}`;
    if (verb === 'delete') return `written at ${await writer.delete(key)}`;
    if (verb === 'checkpoint') return `checkpoint at ${await writer.checkpoint()}`;
    throw unknownLine(verb, 'put KEY VALUE, delete KEY, get KEY or checkpoint');
  });
});

added('follow', 'follow the writer; lines of the input: get KEY').action(async (flags: Flags) => {
  const { endpoints, topic } = topicAddress(flags.varlog, flags.topic);
  await using varlog = await connected(endpoints);
  await using follower = await WalFollower.open(walTopic(varlog, topic), flags.directory);
  const answering = answerLines(async (verb, key) => {
    if (verb !== 'get') throw unknownLine(verb, 'get KEY');
    const { value, behind } = await follower.get(key);
    return `${value ?? 'not found'} (${behind} records behind)`;
  });
  await Promise.race([answering, follower.failed]);
});

function connected(endpoints: string): Promise<Varlog> {
  const tls = tlsFromEnvironment(process.env);
  return Varlog.connect({ endpoints, tls, token: tokensOf(program)?.[0] });
}

function added(name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option('--directory <path>', 'a folder for this process alone; it may be empty', '.wal/1')
    .option('--varlog <addresses>', 'host:port,… or varlog://host:port,…/topic', '127.0.0.1:9092')
    .option('--topic <id>', 'the topic that is the write-ahead log; 1 if nothing names it');
}

/** Answers each line of the input by one of the output. The first that fails ends it. */
async function answerLines(answer: Answer): Promise<void> {
  console.log('ready');
  for await (const line of createInterface({ input: process.stdin })) {
    const [verb = '', key = '', ...rest] = line.trim().split(' ');
    if (verb !== '') console.log(await answer(verb, key, rest.join(' ')));
  }
}

function unknownLine(verb: string, known: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: `${verb} is not known`,
    next: `say ${known}`,
  });
}

try {
  await program.parseAsync();
} catch (error) {
  console.error(reasonOf(error));
  process.exitCode = VarlogError.is(error, 'FAILED_PRECONDITION') ? 5 : 1;
} finally {
  // Nobody is asked any more: an input that stays open would keep the process alive.
  process.stdin.destroy();
}
