import { randomUUID } from 'node:crypto';
import { HttpStatus } from 'varlog/node';
import { JsonClient } from '../http-client.ts';
import type { Audit } from './audit.ts';
import type { Account } from './entities.ts';
import type { LedgerResult } from './ledger-machine.ts';
import type { TransferEntry, TransferRequest } from './ledger-service.ts';

/** A ledger at the other end of an HTTP connection. */
export class LedgerClient {
  private readonly http: JsonClient;

  /** `address` is `host:port` of any replica. */
  constructor(address: string) {
    this.http = new JsonClient(address, 'ledger');
  }

  open(account: string, overdraftLimit: number | null = 0): Promise<LedgerResult> {
    return this.post('/accounts', { account, overdraftLimit });
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
    return this.post('/transfers', { id, postings: legs, description }, id);
  }

  account(id: string): Promise<Account> {
    return this.get(`/accounts/${encodeURIComponent(id)}`);
  }

  accounts(): Promise<Account[]> {
    return this.get('/accounts');
  }

  transfers(account?: string): Promise<TransferEntry[]> {
    const of = account === undefined ? '' : `?account=${encodeURIComponent(account)}`;
    return this.get(`/transfers${of}`);
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
