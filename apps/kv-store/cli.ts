#!/usr/bin/env node
import { Command } from 'commander';
import { reasonOf } from 'varlog/log';
import { tlsFromEnvironment, tuneGarbageCollection } from 'varlog/node';
import { invalid } from '../inputs.ts';
import { serveUntilStopped } from '../serving.ts';
import { tokenOption, tokensOf, warnOfTokens } from '../tokens.ts';
import { topicAddress } from '../topic-address.ts';
import { KvClient } from './client.ts';
import { startKvReplica } from './replica.ts';
import { shown, shownKey } from './shown.ts';

const DEFAULT_REPLICAS = '127.0.0.1:7001,127.0.0.1:7002,127.0.0.1:7003';

// A reader that has seen enough, such as `head`, is no failure.
process.stdout.on('error', () => process.exit());

const program = new Command('kv').description('a replicated key-value store');

program
  .command('serve')
  .description('run one replica')
  .option('--grpc <address>', 'gRPC address', '127.0.0.1:7001')
  .option('--http <address>', 'HTTP address', '127.0.0.1:8001')
  .option('--directory <path>', 'snapshots, and the log on Raft', '.kv/1')
  .option('--varlog <addresses>', 'host:port,… or varlog://host:port,…/topic', '127.0.0.1:9092')
  .option('--topic <id>', 'the topic that carries the commands; 1 if nothing names it')
  .option('--raft <members>', 'run on a Raft group instead: 1=host:port,2=host:port,…')
  .option('--member <id>', 'this member of the Raft group', '1')
  .action(async (flags: Record<string, string>) => {
    tuneGarbageCollection();
    const tokens = tokensOf(program);
    const start = () =>
      startKvReplica({
        grpc: flags['grpc']!,
        http: flags['http']!,
        directory: flags['directory']!,
        tokens,
        log:
          flags['raft'] === undefined
            ? { kind: 'topic', ...topicAddress(flags['varlog']!, flags['topic']) }
            : { kind: 'raft', ...raftMembers(flags['raft'], flags['member']!) },
      });
    await serveUntilStopped(start, ({ http }) => {
      const isEncrypted = tlsFromEnvironment(process.env) !== undefined;
      warnOfTokens(tokens, [{ address: flags['grpc']!, isEncrypted }, { address: http }]);
      console.log(`serving gRPC at ${flags['grpc']}, HTTP at ${http}`);
    });
  });

const withClient = (work: (client: KvClient, ...rest: string[]) => Promise<void>) =>
  async function (this: Command, ...given: unknown[]): Promise<void> {
    const args = given.filter((it) => typeof it === 'string');
    const replicas = (program.opts()['replicas'] as string).split(',');
    const [token] = tokensOf(program) ?? [];
    const client = new KvClient(replicas, { tls: tlsFromEnvironment(process.env), token });
    try {
      await work(client, ...args);
    } finally {
      client.close();
    }
  };

program
  .option('--replicas <addresses>', 'gRPC addresses of the replicas', DEFAULT_REPLICAS)
  .addOption(tokenOption());
program
  .command('put <key> <value>')
  .description('write; prints the revision')
  .action(withClient(async (kv, key, value) => console.log((await kv.put(key!, value!)).revision)));
program
  .command('get <key>')
  .description('print the value; fails with 4 where there is none')
  .action(
    withClient(async (kv, key) => {
      const found = await kv.get(key!);
      if (found === undefined) process.exitCode = 4;
      else process.stdout.write(Buffer.concat([found.value, Buffer.from('\n')]));
    }),
  );
program
  .command('delete <key>')
  .description('remove; fails with 4 where there is none')
  .action(
    withClient(async (kv, key) => {
      if (!(await kv.delete(key!)).done) process.exitCode = 4;
    }),
  );
program
  .command('cas <key> <revision> <value>')
  .description(
    'write if the revision is still this one (0: no such key; an ETag, REVISION-LOG, holds in its log only); fails with 5 otherwise',
  )
  .action(
    withClient(async (kv, key, text, value) => {
      const [revision, log = ''] = text!.replaceAll('"', '').split('-');
      const expected = { revision: Number(revision || Number.NaN), log };
      const { done, revision: now } = await kv.compareAndSet(key!, expected, value!);
      console.log(now);
      if (!done) process.exitCode = 5;
    }),
  );
program
  .command('list [prefix]')
  .description('print the keys with a prefix')
  .action(
    withClient(async (kv, prefix = '') => {
      const { items } = await kv.list(prefix);
      for (const { key, value, revision } of items)
        console.log(`${key}\t${Buffer.from(value).toString()}\t${revision}`);
    }),
  );
program
  .command('watch [prefix]')
  .description('print changes as they happen; Ctrl-C ends it')
  .action(
    withClient(
      (kv, prefix = '') =>
        new Promise<void>((resolve, reject) => {
          const changes = kv.watch$(prefix).subscribe({
            next: ({ value, key, keyBytes, ...change }) => {
              const name = shownKey({ key, ...(keyBytes && { keyBytes }) });
              console.log(JSON.stringify({ ...name, ...change, ...(value && shown(value)) }));
            },
            error: reject,
          });
          process.once('SIGINT', () => {
            changes.unsubscribe();
            resolve();
          });
        }),
    ),
  );

/** The members of the group, and which of them this one is. */
function raftMembers(list: string, own: string) {
  const members = list.split(',').map((part) => {
    const [, id, address] = /^(\d+)=(\S+:\d+)$/.exec(part.trim()) ?? [];
    if (id === undefined) {
      const next = 'give all members of the group: --raft 1=10.0.0.1:9001,2=10.0.0.2:9001';
      throw invalid(`"${part}" is no member of a Raft group`, next);
    }
    return { id: Number(id), address: address! };
  });
  const memberId = Number(own);
  if (members.some(({ id }) => id === memberId)) return { memberId, members };
  const ids = members.map(({ id }) => id).join(', ');
  throw invalid(`--member is ${own}, and --raft names the members ${ids}`, 'name one of these');
}

try {
  await program.parseAsync();
} catch (error) {
  console.error(reasonOf(error));
  process.exitCode = 1;
}
