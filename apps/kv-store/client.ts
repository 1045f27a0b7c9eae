import { randomUUID } from 'node:crypto';
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { Observable } from 'rxjs';
import type { Operation, Replies, Requests } from './calls.ts';
import type { Change, KvResult, Versioned } from './machine.ts';
import { keyValue } from './proto.ts';
import { type CallError, Session } from './session.ts';

const TRY_MS = 3_000;
/** Answers that another replica may not give. */
const ELSEWHERE = new Set([
  status.UNAVAILABLE,
  status.DEADLINE_EXCEEDED,
  status.RESOURCE_EXHAUSTED,
]);

/**
 * Talks to the replicas of a store, to the next one when one does not answer. A write carries an id and so
 * takes effect once, however many replicas it was sent to.
 */
export class KvClient {
  private readonly replicas: Client[];
  private readonly sessions: Session[];
  private current = 0;

  /** `addresses`: gRPC addresses of the replicas. */
  constructor(addresses: readonly string[]) {
    this.replicas = addresses.map((it) => new Client(it, credentials.createInsecure()));
    this.sessions = this.replicas.map((it) => new Session(it, TRY_MS));
  }

  put(key: string, value: string): Promise<KvResult> {
    return this.call('put', { key, value, requestId: randomUUID() });
  }

  delete(key: string): Promise<KvResult> {
    return this.call('delete', { key, requestId: randomUUID() });
  }

  compareAndSet(key: string, expected: number, value: string): Promise<KvResult> {
    return this.call('compareAndSet', { key, expected, value, requestId: randomUUID() });
  }

  async get(key: string, stale = false): Promise<Versioned | undefined> {
    const { found, value, revision } = await this.call('get', { key, stale });
    return found ? { value: value!, revision: revision! } : undefined;
  }

  list(prefix: string): Promise<{ items: (Versioned & { key: string })[]; revision: number }> {
    return this.call('list', { prefix, stale: false });
  }

  /** Changes from revision `from` on (0: from now on), going on at another replica when one is lost. */
  watch$(prefix: string, from = 0): Observable<Change> {
    return new Observable<Change>((subscriber) => {
      let next = from;
      let failures = 0;
      let cancel = (): void => {};
      const open = (): void => {
        const method = keyValue['Watch']!;
        const call = this.replicas[this.current]!.makeServerStreamRequest(
          method.path,
          method.requestSerialize,
          method.responseDeserialize,
          { prefix, from: next },
        );
        cancel = () => call.cancel();
        call.on('data', (change: Change) => {
          failures = 0;
          next = change.revision + 1;
          subscriber.next(change);
        });
        call.on('error', (error: ServiceError) => {
          if (subscriber.closed) return;
          failures++;
          const elsewhere = ELSEWHERE.has(error.code) && failures <= 10 * this.replicas.length;
          if (!elsewhere) return subscriber.error(error);
          this.current = (this.current + 1) % this.replicas.length;
          const timer = setTimeout(open, 200);
          cancel = () => clearTimeout(timer);
        });
      };
      open();
      return () => cancel();
    });
  }

  close(): void {
    for (const it of this.sessions) it.close();
    for (const it of this.replicas) it.close();
  }

  private async call<K extends Operation>(operation: K, request: Requests[K]): Promise<Replies[K]> {
    let last: unknown;
    for (let tries = 0; tries < 2 * this.replicas.length; tries++) {
      const asked = this.current;
      try {
        return await this.sessions[asked]!.call(operation, request);
      } catch (error) {
        last = error;
        if (!ELSEWHERE.has((error as CallError).code)) throw error;
        if (this.current === asked) this.current = (asked + 1) % this.replicas.length;
      }
    }
    throw last;
  }
}
