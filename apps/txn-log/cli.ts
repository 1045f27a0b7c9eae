#!/usr/bin/env node
import { Command } from 'commander';
import { reasonOf, VarlogError } from 'varlog/log';
import { tuneGarbageCollection } from 'varlog/node';
import { serveUntilStopped } from '../serving.ts';
import { tokenOption, tokensOf, warnOfTokens } from '../tokens.ts';
import { topicAddress } from '../topic-address.ts';
import { amountIn } from './amount.ts';
import { LedgerClient } from './client.ts';
import { shownAmount } from './currency.ts';
import type { LedgerResult } from './ledger-machine.ts';
import { addTransactionCommands } from './transactions/commands.ts';

const program = new Command('ledger').description('a bank ledger on a replicated log');

program
  .command('serve')
  .description('run one replica')
  .option('--http <address>', 'HTTP address', '127.0.0.1:8101')
  .option('--directory <path>', 'where the SQLite database lies', '.ledger/1')
  .option('--db <url>', 'a database in Postgres instead: postgres://user:password@host:port/name')
  .option('--varlog <addresses>', 'host:port,… or varlog://host:port,…/topic', '127.0.0.1:9092')
  .option('--topic <id>', 'the topic that carries the commands; 1 if nothing names it')
  .action(async (flags: Record<string, string>) => {
    tuneGarbageCollection();
    const tokens = tokensOf(program);
    // Not by the other commands, which need no database: TypeORM takes long to load.
    const { startLedgerReplica } = await import('./replica.ts');
    const start = () =>
      startLedgerReplica({
        http: flags['http']!,
        location:
          flags['db'] === undefined ? { directory: flags['directory']! } : { url: flags['db'] },
        log: { ...topicAddress(flags['varlog']!, flags['topic']), token: tokens?.[0] },
        tokens,
      });
    await serveUntilStopped(start, ({ http }) => {
      warnOfTokens(tokens, [{ address: http }]);
      console.log(`serving HTTP at ${http}`);
    });
  });

program
  .option('--ledger <address>', 'HTTP address of a replica', '127.0.0.1:8101')
  .addOption(tokenOption());
const client = (): LedgerClient =>
  new LedgerClient(program.opts()['ledger'] as string, tokensOf(program)?.[0]);

program
  .command('open <account>')
  .description('open an account')
  .option('--overdraft <amount>', 'how far below zero it may go, or "unlimited"', '0')
  .option('--currency <code>', 'what it holds: one that was defined; none by default')
  .action(async (account: string, flags: { overdraft: string; currency?: string }) => {
    const { overdraft, currency } = flags;
    const limit = overdraft === 'unlimited' ? null : amountOf(overdraft);
    report(await client().open(account, limit, currency));
  });
program
  .command('currency <code> <exponent>')
  .description('define a currency: EUR 2, of which 100 minor units are one')
  .action(async (code: string, exponent: string) => {
    report(await client().define(code, Number(amountOf(exponent))));
  });
program
  .command('transfer <from> <to> <amount>')
  .description('move money, in minor units; fails with 5 and the reason when it is refused')
  .option('--id <key>', 'idempotency key: the same one takes effect once')
  .option('--description <text>')
  .action(
    async (
      from: string,
      to: string,
      amount: string,
      options: { id?: string; description?: string },
    ) => {
      const units = amountOf(amount);
      const legs = [
        { account: from, amount: -units },
        { account: to, amount: units },
      ];
      report(await client().transfer({ ...options, legs }));
    },
  );
program
  .command('balance <account>')
  .description('print the balance, in minor units; fails with 4 where there is no such account')
  .action(async (account: string) =>
    console.log(String((await client().account(account)).balance)),
  );
program
  .command('accounts')
  .description('print all accounts with their balances')
  .action(async () => {
    for (const { id, balance } of await client().accounts()) console.log(`${id}\t${balance}`);
  });
program
  .command('history [account]')
  .description('print the transfers, newest first')
  .action(async (account?: string) => {
    for (const { postings, ...transfer } of await client().transfers(account)) {
      const legs = postings.map(({ accountId, amount }) => `${accountId} ${amount}`).join(', ');
      const what = transfer.refusal ?? legs;
      console.log(
        `${transfer.position}\t${new Date(transfer.time).toISOString()}\t${transfer.id}\t${what}`,
      );
    }
  });
program
  .command('statement <account>')
  .description('print what came and went, the oldest first, with the balance after it')
  .option('--from <time>', 'the first time, such as 2026-11-01')
  .option('--to <time>', 'the first time that does not belong to it')
  .action(async (account: string, flags: { from?: string; to?: string }) => {
    const exponents = new Map((await client().currencies()).map((it) => [it.code, it.exponent]));
    const question: Record<string, string> = {};
    for (const [name, time] of Object.entries(flags)) question[name] = String(timeOf(time));
    for (let next: string | null = ''; next !== null; ) {
      const page = await client().statement(account, { ...question, ...(next && { after: next }) });
      const exponent = exponents.get(page.currency) ?? 0;
      for (const { time, transfer, amount, balance } of page.entries) {
        const amounts = [amount, balance].map((it) => shownAmount(it, exponent));
        console.log([new Date(time).toISOString(), transfer, ...amounts, page.currency].join('\t'));
      }
      next = page.next;
    }
  });
program
  .command('audit')
  .description('check the whole book; fails with 5 when it does not add up')
  .action(async () => {
    const found = await client().audit();
    console.log(JSON.stringify(found, undefined, 2));
    if (!found.ok) process.exitCode = 5;
  });

addTransactionCommands(program);

program
  .command('rebuild')
  .description('make the database of the replica anew from the log; the old one serves meanwhile')
  .action(async () => console.log(`rebuilt up to position ${(await client().rebuild()).position}`));

function report(result: LedgerResult): void {
  console.log(result.done ? `done at position ${result.position}` : `refused: ${result.refusal}`);
  if (!result.done) process.exitCode = 5;
}

function timeOf(text: string): number {
  const time = Date.parse(text);
  if (time >= 0) return time;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `${text} is not a time`,
    next: 'give one such as 2026-11-01 or 2026-11-01T12:00:00Z',
  });
}

function amountOf(text: string): bigint {
  const amount = amountIn(text);
  if (amount !== undefined && amount >= 0n) return amount;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `${text} is not an amount`,
    next: 'give minor units (cents) as a whole number below 2^63',
  });
}

try {
  await program.parseAsync();
} catch (error) {
  console.error(reasonOf(error));
  process.exitCode = VarlogError.is(error, 'NOT_FOUND') ? 4 : 1;
}
