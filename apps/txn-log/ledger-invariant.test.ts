import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { type SqlReplica, startSqlReplica } from 'varlog/smr/sql';
import { MemoryLog } from 'varlog/testing';
import { audit } from './audit.ts';
import { type Balance, decide, type Leg } from './book.ts';
import { type LedgerDatabase, ledgerDatabase } from './database.ts';
import { AccountEntity, PostingEntity, TransferEntity } from './entities.ts';
import type { LedgerCommand } from './ledger-command.ts';
import { LedgerMachine, type LedgerResult } from './ledger-machine.ts';

const MOST = Number.MAX_SAFE_INTEGER;
const ACCOUNTS = ['bank', 'reserve', 'alice', 'nobody'];

const account = fc.constantFrom(...ACCOUNTS);
/** Both ends of a payment: any number of them, in any order, sum to zero. */
const payment = fc
  .tuple(account, account, fc.constantFrom(1, 7, MOST - 1, MOST))
  .map(([from, to, amount]): Leg[] => [
    { account: from, amount: -amount },
    { account: to, amount },
  ]);
const balanced = fc
  .array(payment, { minLength: 1, maxLength: 6 })
  .chain((legs) => fc.shuffledSubarray(legs.flat(), { minLength: legs.length * 2 }));
const legs = fc.oneof(
  { weight: 4, arbitrary: balanced },
  fc.array(fc.record({ account, amount: fc.constantFrom(-MOST, -1, 1, MOST) }), { maxLength: 50 }),
);

const anything = fc.oneof(
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -0, 0, 1.5, MOST + 1, 2 ** 64, 1e300),
  fc.constantFrom('7', '', 'a\0b', '\ud800', null, undefined, true, [5], {}),
);
const hostile = fc.oneof(
  anything,
  fc.record({
    op: fc.constant('open'),
    account: fc.oneof(account, anything),
    overdraftLimit: fc.oneof(anything, fc.integer()),
  }),
  fc.record({
    op: fc.constant('transfer'),
    id: fc.oneof(fc.constantFrom('x', 'y'), anything),
    description: anything,
    legs: fc.oneof(
      anything,
      fc.array(fc.oneof(anything, fc.record({ account, amount: anything })), { maxLength: 4 }),
      legs,
    ),
  }),
);

describe('money is neither made nor lost', () => {
  test('in memory, whatever the legs: every balance is exact, and all of them sum to zero', () => {
    fc.assert(
      fc.property(fc.array(legs, { maxLength: 12 }), (transfers) => {
        const book = new Map<string, Balance>([
          ['bank', { balance: 0, overdraftLimit: null, currency: 'NONE' }],
          ['reserve', { balance: 0, overdraftLimit: null, currency: 'NONE' }],
          ['alice', { balance: 0, overdraftLimit: 50, currency: 'NONE' }],
        ]);
        const exact = new Map([...book.keys()].map((id) => [id, 0n]));
        for (const transfer of transfers) {
          const decided = decide(transfer, book);
          if (decided.refusal !== undefined) continue;
          for (const posted of decided.postings) {
            exact.set(posted.account, exact.get(posted.account)! + BigInt(posted.amount));
            expect(BigInt(posted.balance)).toBe(exact.get(posted.account));
            expect(Number.isSafeInteger(posted.balance)).toBe(true);
          }
          for (const [id, balance] of decided.balances) book.get(id)!.balance = balance;
        }
        expect(new Map([...book].map(([id, { balance }]) => [id, BigInt(balance)]))).toEqual(exact);
        expect([...exact.values()].reduce((sum, it) => sum + it, 0n)).toBe(0n);
        expect(book.get('alice')!.balance).toBeGreaterThanOrEqual(-50);
      }),
      { numRuns: 2_000 },
    );
  });

  describe('in SQLite, whatever lies in the log', () => {
    const folder = mkdtempSync(join(tmpdir(), 'varlog-ledger-invariant-'));
    let count = 0;
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    async function withLedger(
      use: (ledger: SqlReplica<LedgerCommand, LedgerResult>) => Promise<void>,
    ): Promise<void> {
      const { writer }: LedgerDatabase = ledgerDatabase({ directory: join(folder, `${++count}`) });
      const options = { name: 'ledger', dataSource: writer, log: new MemoryLog() };
      const ledger = await startSqlReplica({ machine: new LedgerMachine(), ...options });
      await ledger.execute({ op: 'open', account: 'bank', overdraftLimit: null });
      await ledger.execute({ op: 'open', account: 'reserve', overdraftLimit: null });
      await ledger.execute({ op: 'open', account: 'alice', overdraftLimit: 50 });
      await use(ledger);
      await ledger.close();
      await writer.destroy();
    }

    test('every account is the sum of its postings, all can be read, and no command stops it', async () => {
      const transfer = legs.map((it) => ({ op: 'transfer', description: '', legs: it }));
      const commands = fc.array(fc.oneof(transfer, hostile), { minLength: 1, maxLength: 30 });
      await fc.assert(
        fc.asyncProperty(commands, (given) =>
          withLedger(async (ledger) => {
            const named = given.map((it, i) =>
              typeof it === 'object' && it !== null ? { id: String(i), ...it } : it,
            );
            await Promise.all(named.map((it) => ledger.execute(it as LedgerCommand)));
            const found = await ledger.query(async (manager) => ({
              audit: await audit(manager),
              postings: await manager.find(PostingEntity),
              transfers: await manager.find(TransferEntity),
              accounts: await manager.find(AccountEntity),
            }));
            expect(found.audit).toMatchObject({ ok: true, sum: '0' });
          }),
        ),
        { numRuns: 15 },
      );
    }, 120_000);

    test('the audit adds up more than 64 bits hold, on the way to zero', () =>
      withLedger(async (ledger) => {
        for (let i = 0; i < 45; i++) {
          const there = { account: 'reserve', amount: MOST };
          const back = { account: 'reserve', amount: -MOST };
          const bank = { account: 'bank', amount: -MOST };
          const unbank = { account: 'bank', amount: MOST };
          const once = [there, bank, back, unbank];
          await ledger.execute({
            op: 'transfer',
            id: String(i),
            description: '',
            legs: Array.from({ length: 25 }, () => once).flat(),
          });
        }
        await ledger.query(async (manager) => {
          // All that came before all that went: the order of a sum is the database's own.
          await manager.query('CREATE INDEX by_amount ON posting (account_id, amount DESC)');
          await manager.query('CREATE TABLE sorted AS SELECT * FROM posting ORDER BY amount DESC');
          await manager.query('DELETE FROM posting');
          await manager.query('INSERT INTO posting SELECT * FROM sorted ORDER BY amount DESC');
        });
        expect(await ledger.query(audit)).toMatchObject({ ok: true, sum: '0', transfers: 45 });
      }));
  });
});
