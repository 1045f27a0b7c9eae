import { randomUUID } from 'node:crypto';
import { HttpStatus } from 'varlog/node';
import { JsonClient } from '../http-client.ts';
import { type Written, type WrittenAmount, writtenAmount } from './amount.ts';
import type { Audit } from './audit.ts';
import type { Currency } from './currency.ts';
import type { Account } from './entities.ts';
import type { LedgerResult } from './ledger-machine.ts';
import type { TransferEntry, TransferRequest } from './ledger-service.ts';
import type { Statement } from './statement.ts';

const REBUILD_MS = 24 * 3_600_000;

type StatementPage = Omit<Statement, 'next'> & { next: string | null };

/** A ledger at the other end of an HTTP connection. */
export class LedgerClient {
  private readonly http: JsonClient;

  /**
   * `address` is `host:port` of any replica; `token`: the access token to show, where it asks for one. Throws
   * `INVALID_ARGUMENT` for what is neither.
   */
  constructor(address: string, token?: string) {
    this.http = new JsonClient(address, 'ledger', token);
  }

  define(code: string, exponent: number): Promise<LedgerResult> {
    return this.post('/currencies', { code, exponent });
  }

  currencies(): Promise<Currency[]> {
    return this.get('/currencies');
  }

  /** Without `currency`: in none. */
  open(
    account: string,
    overdraftLimit: bigint | null = 0n,
    currency?: string,
  ): Promise<LedgerResult> {
    const limit = overdraftLimit === null ? null : writtenAmount(overdraftLimit);
    return this.post('/accounts', { account, overdraftLimit: limit, currency });
  }

  /**
   * Without `id`: a new one, so that a repeated call is another transfer. When the outcome is not known, `details.id` of the
   * error is the one to repeat it with.
   */
  transfer({
    id = randomUUID(),
    legs,
    description,
  }: Partial<TransferRequest>): Promise<LedgerResult> {
    const postings = legs?.map((it) => ({ ...it, amount: writtenAmount(it.amount) }));
    return this.post('/transfers', { id, postings, description }, id);
  }

  async account(id: string): Promise<Account> {
    return accountOf(await this.get(`/accounts/${encodeURIComponent(id)}`));
  }

  async accounts(): Promise<Account[]> {
    return (await this.get<Written<Account>[]>('/accounts')).map(accountOf);
  }

  async transfers(account?: string): Promise<TransferEntry[]> {
    const of = account === undefined ? '' : `?account=${encodeURIComponent(account)}`;
    const found = await this.get<Written<TransferEntry>[]>(`/transfers${of}`);
    return found.map((it) => ({ ...it, postings: it.postings.map(movementOf) }));
  }

  /** A page of what came and went, the oldest first; `after`: the `next` of the page before. */
  async statement(
    account: string,
    question: Readonly<Record<string, string>> = {},
  ): Promise<StatementPage> {
    const query = new URLSearchParams(question);
    const path = `/statements/${encodeURIComponent(account)}?${query}`;
    const page = await this.get<Written<StatementPage>>(path);
    return { ...page, opening: BigInt(page.opening), entries: page.entries.map(movementOf) };
  }

  /** Has the replica make its database anew from the log, however long that takes: the old one serves meanwhile. */
  rebuild(): Promise<{ position: number }> {
    return this.http.call({ method: 'POST', path: '/rebuild', body: {}, timeoutMs: REBUILD_MS });
  }

  audit(): Promise<Audit> {
    return this.get('/audit');
  }

  private get<T>(path: string): Promise<T> {
    return this.http.call({ method: 'GET', path });
  }

  private post<T>(path: string, body: unknown, id?: string): Promise<T> {
    return this.http.call({
      method: 'POST',
      path,
      body,
      writes: true,
      accepts: (status, answer) =>
        status === HttpStatus.conflict ||
        (status === HttpStatus.unprocessableContent && 'done' in answer),
      ...(id !== undefined && {
        details: { id },
        repeat: `it may have taken effect: repeat it with --id ${id}`,
      }),
    });
  }
}

function accountOf({ balance, overdraftLimit, ...account }: Written<Account>): Account {
  const limit = overdraftLimit === null ? null : BigInt(overdraftLimit);
  return { ...account, balance: BigInt(balance), overdraftLimit: limit };
}

function movementOf<It extends { amount: WrittenAmount; balance: WrittenAmount }>(
  it: It,
): Omit<It, 'amount' | 'balance'> & { amount: bigint; balance: bigint } {
  return { ...it, amount: BigInt(it.amount), balance: BigInt(it.balance) };
}
