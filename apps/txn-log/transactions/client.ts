import { HttpStatus } from 'varlog/node';
import type {
  BegunTransaction,
  LogCallOptions,
  TransactionCommit,
  TransactionItem,
  TransactionOutcome,
  TransactionService,
} from 'varlog/smr';
import { JsonClient } from '../../http-client.ts';

/**
 * Transactions at the other end of an HTTP connection. Give it to `transactions` of `varlog/smr`. One replica answers all
 * calls of an attempt, because only it keeps the snapshot.
 */
export class RemoteTransactions implements TransactionService {
  private readonly http: JsonClient;

  /** `address` is `host:port` of any replica; `token`: the access token to show, where it asks for one. */
  constructor(address: string, token?: string) {
    this.http = new JsonClient(address, 'service', token);
  }

  begin(id: string, options: LogCallOptions = {}): Promise<BegunTransaction> {
    return this.http.call({ ...options, method: 'POST', path: '/begin', body: { id } });
  }

  async read(
    key: string,
    at: number,
    options: LogCallOptions = {},
  ): Promise<TransactionItem | undefined> {
    const found = await this.http.call<TransactionItem | { absent: true }>({
      ...options,
      method: 'GET',
      path: `/keys/${encodeURIComponent(key)}?at=${at}`,
      accepts: (status, answer) => status === HttpStatus.notFound && 'absent' in answer,
    });
    return 'absent' in found ? undefined : found;
  }

  commit(
    attempt: Omit<TransactionCommit, 'op'>,
    options: LogCallOptions = {},
  ): Promise<TransactionOutcome> {
    return this.decide('/commit', attempt, options);
  }

  settle(id: string, since: number, options: LogCallOptions = {}): Promise<TransactionOutcome> {
    return this.decide('/outcome', { id, since }, options);
  }

  private decide(
    path: string,
    body: unknown,
    options: LogCallOptions,
  ): Promise<TransactionOutcome> {
    return this.http.call({
      ...options,
      method: 'POST',
      path,
      body,
      writes: true,
      accepts: (status, answer) => status >= HttpStatus.conflict && 'state' in answer,
      repeat: 'it may have taken effect: ask for its outcome',
    });
  }
}
