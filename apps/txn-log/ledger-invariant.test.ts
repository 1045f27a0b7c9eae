import fc from 'fast-check';
import { type SqlReplica, startSqlReplica } from 'varlog/smr/sql';
import { MemoryLog } from 'varlog/testing';
import { AMOUNT_MAX, NUMBER_MAX, type Written, writtenAmount } from './amount.ts';
import { audit } from './audit.ts';
import { type Balance, decide, type Leg } from './book.ts';
import { type LedgerLocation, ledgerDatabase } from './database.ts';
import { TransferEntity } from './entities.ts';
import { accountsIn, postingsOf } from './exact-rows.ts';
import type { LedgerCommand } from './ledger-command.ts';
import { onEachLocation } from './ledger-locations.fixture.ts';
import { LedgerMachine, type LedgerResult } from './ledger-machine.ts';

const ACCOUNTS = ['bank', 'reserve', 'alice', 'nobody'];

const account = fc.constantFrom(...ACCOUNTS);
/** Ordinary ones, and those at the ends of what numbers and 64 bits hold. */
const size = fc.oneof(
  fc.constantFrom(1n, 7n, NUMBER_MAX - 1n, NUMBER_MAX, NUMBER_MAX + 1n, 2n ** 62n, AMOUNT_MAX - 1n),
  fc.constant(AMOUNT_MAX),
  fc.bigInt({ min: 1n, max: AMOUNT_MAX }),
);
/** Both ends of a payment: any number of them, in any order, sum to zero. */
const payment = fc.tuple(account, account, size).map(([from, to, amount]): Leg[] => [
  { account: from, amount: -amount },
  { account: to, amount },
]);
const balanced = fc
  .array(payment, { minLength: 1, maxLength: 6 })
  .chain((legs) => fc.shuffledSubarray(legs.flat(), { minLength: legs.length * 2 }));
const anyLeg = fc.record({
  account,
  amount: fc.constantFrom(-AMOUNT_MAX, -NUMBER_MAX, -1n, 1n, NUMBER_MAX, AMOUNT_MAX),
});
const legs = fc.oneof(
  { weight: 4, arbitrary: balanced },
  { weight: 1, arbitrary: fc.array(anyLeg, { maxLength: 50 }) },
);
const written = (given: readonly Leg[]): Written<Leg>[] =>
  given.map((it) => ({ ...it, amount: writtenAmount(it.amount) }));

const anything = fc.oneof(
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -0, 0, 1.5, 2 ** 53, 2 ** 64, 1e300),
  fc.constantFrom('7', '-0', '+7', '07', '7.0', '1e3', ' 7', '0x7', String(2n ** 63n)),
  fc.constantFrom('', 'a\0b', '\ud800', null, undefined, true, [5], {}),
);
const hostile = fc.oneof(
  anything,
  fc.record({
    op: fc.constant('open'),
    account: fc.oneof(account, anything),
    overdraftLimit: fc.oneof(anything, fc.integer(), size.map(writtenAmount)),
  }),
  fc.record({
    op: fc.constant('transfer'),
    id: fc.oneof(fc.constantFrom('x', 'y'), anything),
    description: anything,
    legs: fc.oneof(
      anything,
      fc.array(fc.oneof(anything, fc.record({ account, amount: anything })), { maxLength: 4 }),
      legs.map(written),
    ),
  }),
);

const sumOf = (amounts: readonly bigint[]): bigint => amounts.reduce((sum, it) => sum + it, 0n);

type Ledger = SqlReplica<LedgerCommand, LedgerResult>;

async function withLedger(
  location: LedgerLocation,
  use: (ledger: Ledger) => Promise<void>,
): Promise<void> {
  const { writer } = ledgerDatabase(location);
  const options = { name: 'ledger', dataSource: writer, log: new MemoryLog() };
  const ledger = await startSqlReplica({ machine: new LedgerMachine(), ...options });
  await ledger.execute({ op: 'open', account: 'bank', overdraftLimit: null });
  await ledger.execute({ op: 'open', account: 'reserve', overdraftLimit: null });
  await ledger.execute({ op: 'open', account: 'alice', overdraftLimit: 50 });
  await use(ledger);
  await ledger.close();
  await writer.destroy();
}

/** Reads all, and adds it up past SQL. */
async function checkBook(ledger: Ledger, most: bigint): Promise<void> {
  const found = await ledger.query(async (manager) => {
    const transfers = (await manager.find(TransferEntity)).map(({ id }) => id);
    return {
      audit: await audit(manager),
      postings: await postingsOf(manager, transfers),
      accounts: await accountsIn(manager),
    };
  });
  expect(found.audit).toMatchObject({ ok: true, sum: '0' });
  expect(sumOf(found.accounts.map(({ balance }) => balance))).toBe(0n);
  for (const { id, balance } of found.accounts) {
    const postings = found.postings.filter(({ accountId }) => accountId === id);
    expect(sumOf(postings.map(({ amount }) => amount))).toBe(balance);
    for (const it of postings) expect(it.balance <= most && it.balance >= -most).toBe(true);
  }
}

describe('money is neither made nor lost', () => {
  test.each([NUMBER_MAX, AMOUNT_MAX])(
    'in memory, whatever the legs, up to %d: all balances sum to zero',
    (most) => {
      fc.assert(
        fc.property(fc.array(legs, { maxLength: 12 }), (transfers) => {
          const book = new Map<string, Balance>([
            ['bank', { balance: 0n, overdraftLimit: null, currency: 'NONE' }],
            ['reserve', { balance: 0n, overdraftLimit: null, currency: 'NONE' }],
            ['alice', { balance: 0n, overdraftLimit: 50n, currency: 'NONE' }],
          ]);
          const exact = new Map([...book.keys()].map((id) => [id, 0n]));
          for (const transfer of transfers) {
            const decided = decide(transfer, book, most);
            if (decided.refusal !== undefined) continue;
            for (const posted of decided.postings) {
              exact.set(posted.account, exact.get(posted.account)! + posted.amount);
              expect(posted.balance).toBe(exact.get(posted.account));
              expect(posted.balance <= most && posted.balance >= -most).toBe(true);
            }
            for (const [id, balance] of decided.balances) book.get(id)!.balance = balance;
          }
          expect(new Map([...book].map(([id, { balance }]) => [id, balance]))).toEqual(exact);
          expect(sumOf([...exact.values()])).toBe(0n);
          expect(book.get('alice')!.balance).toBeGreaterThanOrEqual(-50n);
        }),
        { numRuns: 1_000 },
      );
    },
  );
});

onEachLocation('whatever lies in the log of a ledger', (fresh) => {
  test('every account is the sum of its postings, all can be read, and no command stops it', async () => {
    const transfer = legs.map((it) => ({ op: 'transfer', description: '', legs: written(it) }));
    const commands = fc.array(fc.oneof(transfer, hostile), { minLength: 1, maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(commands, commands, async (before, since) =>
        withLedger(await fresh(), async (ledger) => {
          const execute = (given: readonly unknown[], from: number): Promise<unknown> =>
            Promise.all(
              given.map((it, i) => {
                const isObject = typeof it === 'object' && it !== null;
                const named = isObject ? { id: String(from + i), ...it } : it;
                // As it would lie there: what JSON keeps nothing of is refused before.
                const kept = JSON.stringify(named) as string | undefined;
                return ledger.execute(kept === undefined ? named : JSON.parse(kept));
              }),
            );
          await execute(before, 0);
          await checkBook(ledger, NUMBER_MAX);
          await ledger.upgradeTo(2);
          // Under the ids of the first ones as well.
          await execute(since, before.length >> 1);
          await checkBook(ledger, AMOUNT_MAX);
        }),
      ),
      { numRuns: 12 },
    );
  }, 180_000);

  test('the audit adds up more than 64 bits hold, on the way to zero', async () =>
    withLedger(await fresh(), async (ledger) => {
      await ledger.upgradeTo(2);
      const most = String(AMOUNT_MAX);
      for (let i = 0; i < 45; i++) {
        const there = { account: 'reserve', amount: most };
        const back = { account: 'reserve', amount: `-${most}` };
        const bank = { account: 'bank', amount: `-${most}` };
        const unbank = { account: 'bank', amount: most };
        const once = [there, bank, back, unbank];
        await ledger.execute({
          op: 'transfer',
          id: String(i),
          description: '',
          // The last one leaves the largest balances that there are.
          legs: Array.from({ length: 25 }, () => once)
            .flat()
            .slice(0, i === 44 ? 98 : 100),
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
      for (const [id, balance] of [
        ['reserve', AMOUNT_MAX],
        ['bank', -AMOUNT_MAX],
      ] as const)
        expect(await ledger.query((it) => accountsIn(it, [id]))).toMatchObject([{ balance }]);
      // Now the upper halves of what came and went are more than 64 bits hold, and the lower ones are below zero.
      const [half, less] = [2 ** 32, 2 ** 32 - 1];
      const carried = [-less, -less, half].flatMap((amount) => [
        { account: 'reserve', amount },
        { account: 'bank', amount: -amount },
      ]);
      const carry = { op: 'transfer', id: 'carry', description: '', legs: carried } as const;
      expect(await ledger.execute(carry)).toMatchObject({ done: true });
      expect(await ledger.query(audit)).toMatchObject({ ok: true });
      // The least that can be wrong is found.
      await ledger.query((it) =>
        it.query("UPDATE account SET balance = balance - 1 WHERE id = 'reserve'"),
      );
      expect(await ledger.query(audit)).toMatchObject({ sum: '-1', deviating: ['reserve'] });
    }));
});
