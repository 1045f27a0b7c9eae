import { randomUUID } from 'node:crypto';
import { type ErrorCode, VarlogError } from 'varlog/log';
import { HttpStatus } from 'varlog/node';
import type { Audit } from './audit.ts';
import type { Account } from './entities.ts';
import type { LedgerResult } from './ledger-machine.ts';
import type { TransferEntry, TransferRequest } from './ledger-service.ts';

const CALL_MS = 30_000;
const CODES: Record<number, ErrorCode> = {
  [HttpStatus.badRequest]: 'INVALID_ARGUMENT',
  [HttpStatus.notFound]: 'NOT_FOUND',
  [HttpStatus.contentTooLarge]: 'ENTRY_TOO_LARGE',
  [HttpStatus.tooManyRequests]: 'RESOURCE_EXHAUSTED',
  [HttpStatus.gatewayTimeout]: 'TIMEOUT',
};

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

  /**
   * Without `id`: a new one, so that a repeated call is another transfer. When the outcome is not known, `details.id` of the
   * error is the one to repeat it with.
   */
  transfer({
    id = randomUUID(),
    legs,
    description,
  }: Partial<TransferRequest>): Promise<LedgerResult> {
    return this.call('POST', '/transfers', { id, postings: legs, description }, { id });
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

  private async call<T>(
    method: string,
    path: string,
    body?: unknown,
    details: Record<string, unknown> = {},
  ): Promise<T> {
    let response: Response;
    let text: string;
    try {
      response = await fetch(this.root + path, {
        method,
        signal: AbortSignal.timeout(CALL_MS),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      text = await response.text();
    } catch (cause) {
      throw unreachable(this.root, cause, method === 'GET' ? {} : details);
    }
    const answer = objectIn(text) as { message?: string; outcome?: unknown };
    if (
      response.ok ||
      response.status === HttpStatus.conflict ||
      (response.status === HttpStatus.unprocessableContent && 'done' in answer)
    )
      return answer as T;
    throw new VarlogError(CODES[response.status] ?? 'UNAVAILABLE', {
      what: answer.message ?? `the ledger answered ${response.status}`,
      ...(answer.outcome === 'unknown' || answer.outcome === 'notAppended'
        ? { outcome: answer.outcome }
        : {}),
      details,
    });
  }
}

function objectIn(text: string): object {
  try {
    return Object(JSON.parse(text)) as object;
  } catch {
    return {};
  }
}

function unreachable(root: string, cause: unknown, details: Record<string, unknown>): VarlogError {
  const refused = (cause as { cause?: { code?: unknown } }).cause?.code === 'ECONNREFUSED';
  const { id } = details;
  return new VarlogError('UNREACHABLE', {
    what: `no ledger answers at ${root}`,
    next:
      refused || id === undefined
        ? 'start one with "serve", or name another with --ledger'
        : `it may have taken effect: repeat it with --id ${id}`,
    outcome: refused ? 'notAppended' : 'unknown',
    details,
    cause,
  });
}
