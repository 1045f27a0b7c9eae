import { type EntityManager, In } from 'typeorm';
import type { ApplyContext } from 'varlog/smr';
import type { SqlStateMachine } from 'varlog/smr/sql';
import { type Account, AccountEntity, PostingEntity, TransferEntity } from './entities.ts';

/** One leg of a transfer: what an account gets (positive) or gives (negative), in minor units. */
export interface Leg {
  account: string;
  amount: number;
}

export type LedgerCommand =
  | { op: 'open'; account: string; overdraftLimit: number | null }
  | { op: 'transfer'; id: string; legs: Leg[]; description: string };

export type Refusal =
  | 'ACCOUNT_EXISTS'
  | 'NO_SUCH_ACCOUNT'
  | 'OVERDRAFT'
  | 'UNBALANCED'
  | 'NOT_A_TRANSFER'
  | 'BALANCE_TOO_LARGE'
  | 'KEY_REUSED';

/** `position` is that of the command which decided: an earlier one where this was a repeat. */
export type LedgerResult =
  | { done: true; position: number }
  | { done: false; refusal: Refusal; position: number };

/**
 * The bank's book. Money is neither made nor lost: the legs of a transfer sum to zero, so all balances
 * together are zero always; who issues money is an account with an overdraft.
 */
export class LedgerMachine implements SqlStateMachine<LedgerCommand, LedgerResult> {
  apply(
    command: LedgerCommand,
    manager: EntityManager,
    context: ApplyContext,
  ): Promise<LedgerResult> {
    return command.op === 'open'
      ? this.open(command, manager, context)
      : this.transfer(command, manager, context);
  }

  private async open(
    { account, overdraftLimit }: LedgerCommand & { op: 'open' },
    manager: EntityManager,
    { position }: ApplyContext,
  ): Promise<LedgerResult> {
    const found = await manager.findOneBy(AccountEntity, { id: account });
    if (found !== null) {
      return found.overdraftLimit === overdraftLimit
        ? { done: true, position: found.openedAt }
        : { done: false, refusal: 'ACCOUNT_EXISTS', position: found.openedAt };
    }
    const opened = { id: account, balance: 0, overdraftLimit, openedAt: position };
    await manager.insert(AccountEntity, opened);
    return { done: true, position };
  }

  private async transfer(
    { id, legs, description }: LedgerCommand & { op: 'transfer' },
    manager: EntityManager,
    { position, time }: ApplyContext,
  ): Promise<LedgerResult> {
    const request = JSON.stringify(legs.map(({ account, amount }) => [account, amount]));
    const before = await manager.findOneBy(TransferEntity, { id });
    if (before !== null) {
      if (before.request !== request) return { done: false, refusal: 'KEY_REUSED', position };
      return before.refusal === null
        ? { done: true, position: before.position }
        : { done: false, refusal: before.refusal as Refusal, position: before.position };
    }
    const ids = [...new Set(legs.map((it) => it.account))];
    const accounts = new Map(
      (await manager.findBy(AccountEntity, { id: In(ids) })).map((it) => [it.id, it]),
    );
    const refusal = refusalOf(legs, accounts);
    await manager.insert(TransferEntity, {
      id,
      position,
      time: Math.floor(time),
      description,
      refusal: refusal ?? null,
      request,
    });
    if (refusal !== undefined) return { done: false, refusal, position };
    const postings = legs.map(({ account: accountId, amount }, leg) => {
      const account = accounts.get(accountId)!;
      account.balance += amount;
      return { transferId: id, leg, accountId, amount, balance: account.balance };
    });
    await manager.insert(PostingEntity, postings);
    for (const { id: account, balance } of accounts.values())
      await manager.update(AccountEntity, { id: account }, { balance });
    return { done: true, position };
  }
}

/** Why a transfer cannot be done; decided from the log and the book alone, so alike on all replicas. */
function refusalOf(
  legs: readonly Leg[],
  accounts: ReadonlyMap<string, Account>,
): Refusal | undefined {
  if (legs.length < 2 || !legs.every(({ amount }) => Number.isSafeInteger(amount) && amount !== 0))
    return 'NOT_A_TRANSFER';
  // In whole numbers of any size: a sum of large amounts must not be rounded to zero.
  if (legs.reduce((sum, { amount }) => sum + BigInt(amount), 0n) !== 0n) return 'UNBALANCED';
  const change = new Map<string, bigint>();
  for (const { account, amount } of legs)
    change.set(account, (change.get(account) ?? 0n) + BigInt(amount));
  for (const id of change.keys()) if (!accounts.has(id)) return 'NO_SUCH_ACCOUNT';
  for (const [id, amount] of change) {
    const { balance, overdraftLimit } = accounts.get(id)!;
    const after = BigInt(balance) + amount;
    if (amount < 0n && overdraftLimit !== null && after < -BigInt(overdraftLimit))
      return 'OVERDRAFT';
    if (!Number.isSafeInteger(Number(after))) return 'BALANCE_TOO_LARGE';
  }
  return undefined;
}
