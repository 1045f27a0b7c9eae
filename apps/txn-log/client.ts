import { randomUUID } from 'node:crypto';
import { VarlogError } from 'varlog/log';
import type { Audit } from './audit.ts';
import type { Account } from './entities.ts';
import type { LedgerResult } from './ledger-machine.ts';
import type { TransferEntry, TransferRequest } from './ledger-service.ts';

/** A ledger at the other end of an HTTP connection. */
export class LedgerClient {
  private readonly root: string;

  /** `address` is `host:port` of any replica. */
  constructor(address: string) {
    this.root = `http://${address}`;
  }

  open(account: string, overdraftLimit: number | null = 0): Promise<LedgerResult> {
    return this.call('POST', '/accounts', { account, overdraftLimit });
  }

  /** Without `id`: a new one, so that a repeated call is another transfer. */
  transfer({
    id = randomUUID(),
    legs,
    description,
  }: Partial<TransferRequest>): Promise<LedgerResult> {
    return this.call('POST', '/transfers', { id, postings: legs, description });
  }

  account(id: string): Promise<Account> {
    return this.call('GET', `/accounts/${encodeURIComponent(id)}`);
  }

  accounts(): Promise<Account[]> {
    return this.call('GET', '/accounts');
  }

  transfers(account?: string): Promise<TransferEntry[]> {
    const of = account === undefined ? '' : `?account=${encodeURIComponent(account)}`;
    return this.call('GET', `/transfers${of}`);
  }

  audit(): Promise<Audit> {
    return this.call('GET', '/audit');
  }

  private async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    let response: Response;
    try {
      response = await fetch(this.root + path, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (cause) {
      throw new VarlogError('UNREACHABLE', {
        what: `no ledger answers at ${this.root}`,
        next: 'start one with "serve", or name another with --ledger',
        cause,
      });
    }
    const answer = (await response.json()) as { message?: string };
    if (response.ok || response.status === 409) return answer as T;
    const code =
      response.status === 404
        ? 'NOT_FOUND'
        : response.status === 400
          ? 'INVALID_ARGUMENT'
          : 'UNAVAILABLE';
    throw new VarlogError(code, {
      what: answer.message ?? `the ledger answered ${response.status}`,
    });
  }
}
