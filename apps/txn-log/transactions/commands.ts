import type { Command } from 'commander';
import { VarlogError } from 'varlog/log';
import { tuneGarbageCollection } from 'varlog/node';
import { type TransactionStore, transactions } from 'varlog/smr';
import { serveUntilStopped } from '../../serving.ts';
import { tokensOf, warnOfTokens } from '../../tokens.ts';
import { topicAddress } from '../../topic-address.ts';
import { RemoteTransactions } from './client.ts';
import { startTransactionReplica } from './replica.ts';

/** `transactions serve`, and what can be asked of it. */
export function addTransactionCommands(program: Command): void {
  const group = program
    .command('transactions')
    .description('multi-key transactions on a replicated log')
    .option('--service <address>', 'HTTP address of a replica', '127.0.0.1:8111');
  const store = (): TransactionStore =>
    transactions(new RemoteTransactions(group.opts()['service'] as string, tokensOf(program)?.[0]));

  group
    .command('serve')
    .description('run one replica')
    .option('--http <address>', 'HTTP address', '127.0.0.1:8111')
    .option('--directory <path>', 'where its snapshots lie', '.transactions/1')
    .option('--varlog <addresses>', 'host:port,… or varlog://host:port,…/topic', '127.0.0.1:9092')
    .option('--topic <id>', 'the topic that carries the commands; 1 if nothing names it')
    .action(async (flags: Record<string, string>) => {
      tuneGarbageCollection();
      const tokens = tokensOf(program);
      const start = () =>
        startTransactionReplica({
          http: flags['http']!,
          directory: flags['directory']!,
          log: { ...topicAddress(flags['varlog']!, flags['topic']), token: tokens?.[0] },
          tokens,
        });
      await serveUntilStopped(start, ({ http }) => {
        warnOfTokens(tokens, [{ address: http }]);
        console.log(`serving HTTP at ${http}`);
      });
    });
  group
    .command('get <keys...>')
    .description('print what these keys have, at one moment')
    .action(async (keys: string[]) => {
      const found = await store().transact(async (transaction) => {
        const values: [string, string | null][] = [];
        for (const key of keys) values.push([key, (await transaction.get(key)) ?? null]);
        return values;
      });
      for (const [key, value] of found) console.log(JSON.stringify({ key, value }));
    });
  group
    .command('set <assignments...>')
    .description('write all of KEY=VALUE … at one moment, or none; KEY= removes the key')
    .option('--id <id>', 'of the transaction: the same one takes effect once')
    .option(
      '--if <expectation...>',
      'KEY=VALUE …, or else nothing is written; KEY= where it is absent',
    )
    .action(async (texts: string[], flags: { id?: string; if?: string[] }) => {
      const writes = texts.map(assignment);
      const expected = (flags.if ?? []).map(assignment);
      const unmet = await store().transact(
        async (transaction) => {
          for (const [key, value] of expected)
            if (((await transaction.get(key)) ?? '') !== value) return key;
          for (const [key, value] of writes)
            if (value === '') transaction.delete(key);
            else transaction.put(key, value);
          return undefined;
        },
        flags.id === undefined ? {} : { id: flags.id },
      );
      if (unmet === undefined) return console.log('done');
      console.log(`refused: ${unmet} has another value`);
      process.exitCode = 5;
    });
  group
    .command('outcome <id>')
    .description(
      'print what became of a transaction; one that has not come is refused from then on',
    )
    .option('--since <position>', 'a position from before it, as its error names it', '0')
    .action(async (id: string, { since }: { since: string }) => {
      const outcome = await store().outcome(id, { since: positionOf(since) });
      console.log(JSON.stringify(outcome));
    });
}

function assignment(text: string): [key: string, value: string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `"${text}" assigns nothing`,
    next: 'write KEY=VALUE',
  });
}

function positionOf(text: string): number {
  const position = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(position)) return position;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `${text} is not a position`,
    next: 'give the "since" of the error that left the outcome open',
  });
}
