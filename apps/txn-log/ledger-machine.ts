import type { EntityManager } from 'typeorm';
import type { ApplyContext } from 'varlog/smr';
import type { SqlStateMachine } from 'varlog/smr/sql';
import { AMOUNT_MAX, amountIn, NUMBER_MAX, writtenAmount } from './amount.ts';
import { decide, type TransferRefusal } from './book.ts';
import { NO_CURRENCY } from './currency.ts';
import { AccountEntity, CurrencyEntity, PostingEntity, TransferEntity } from './entities.ts';
import { accountsIn } from './exact-rows.ts';
import { LEDGER_RULES, type LedgerCommand, problemOf } from './ledger-command.ts';

export type Refusal =
  | TransferRefusal
  | 'ACCOUNT_EXISTS'
  | 'CURRENCY_EXISTS'
  | 'NO_SUCH_CURRENCY'
  | 'KEY_REUSED'
  | 'NOT_A_COMMAND';

/** `position` is that of the command which decided: an earlier one where this was a repeat. */
export type LedgerResult =
  | { done: true; position: number }
  | { done: false; refusal: Refusal; position: number };

/**
 * The bank's book. Money is neither made nor lost: the legs of a transfer sum to zero, so all balances
 * together are zero always; who issues money is an account with an overdraft.
 */
export class LedgerMachine implements SqlStateMachine<LedgerCommand, LedgerResult> {
  readonly rules = LEDGER_RULES;

  async apply(
    command: LedgerCommand,
    manager: EntityManager,
    context: ApplyContext,
  ): Promise<LedgerResult> {
    if (problemOf(command, context.rules) !== undefined)
      return { done: false, refusal: 'NOT_A_COMMAND', position: context.position };
    if (command.op === 'currency') return this.define(command, manager, context);
    return command.op === 'open'
      ? this.open(command, manager, context)
      : this.transfer(command, manager, context);
  }

  private async define(
    { code, exponent }: LedgerCommand & { op: 'currency' },
    manager: EntityManager,
    { position }: ApplyContext,
  ): Promise<LedgerResult> {
    const found = await manager.findOneBy(CurrencyEntity, { code });
    if (found === null) await manager.insert(CurrencyEntity, { code, exponent });
    else if (found.exponent !== exponent)
      return { done: false, refusal: 'CURRENCY_EXISTS', position };
    return { done: true, position };
  }

  private async open(
    { account, overdraftLimit, currency = NO_CURRENCY }: LedgerCommand & { op: 'open' },
    manager: EntityManager,
    { position }: ApplyContext,
  ): Promise<LedgerResult> {
    const limit = overdraftLimit === null ? null : amountIn(overdraftLimit)!;
    const [found] = await accountsIn(manager, [account]);
    if (found !== undefined) {
      return found.overdraftLimit === limit && found.currency === currency
        ? { done: true, position: found.openedAt }
        : { done: false, refusal: 'ACCOUNT_EXISTS', position: found.openedAt };
    }
    if ((await manager.findOneBy(CurrencyEntity, { code: currency })) === null)
      return { done: false, refusal: 'NO_SUCH_CURRENCY', position };
    await manager.insert(AccountEntity, {
      id: account,
      balance: 0n,
      overdraftLimit: limit,
      openedAt: position,
      currency,
    });
    return { done: true, position };
  }

  private async transfer(
    { id, legs: given, description }: LedgerCommand & { op: 'transfer' },
    manager: EntityManager,
    { position, time, rules }: ApplyContext,
  ): Promise<LedgerResult> {
    const legs = given.map(({ account, amount }) => ({ account, amount: amountIn(amount)! }));
    const request = JSON.stringify([
      ...legs.map(({ account, amount }) => [account, writtenAmount(amount)]),
      description,
    ]);
    const before = await manager.findOneBy(TransferEntity, { id });
    if (before !== null) {
      if (before.request !== request) return { done: false, refusal: 'KEY_REUSED', position };
      return before.refusal === null
        ? { done: true, position: before.position }
        : { done: false, refusal: before.refusal as Refusal, position: before.position };
    }
    const ids = [...new Set(legs.map((it) => it.account))];
    const accounts = new Map((await accountsIn(manager, ids)).map((it) => [it.id, it]));
    const decided = decide(legs, accounts, rules < 2 ? NUMBER_MAX : AMOUNT_MAX);
    await manager.insert(TransferEntity, {
      id,
      position,
      time: Math.floor(time),
      description,
      refusal: decided.refusal ?? null,
      request,
    });
    if (decided.refusal !== undefined) return { done: false, refusal: decided.refusal, position };
    const postings = decided.postings.map(({ account: accountId, amount, balance }, leg) => {
      return { transferId: id, leg, accountId, amount, balance };
    });
    await manager.insert(PostingEntity, postings);
    for (const [account, balance] of decided.balances)
      await manager.update(AccountEntity, { id: account }, { balance });
    return { done: true, position };
  }
}
