import { randomBytes } from 'node:crypto';
import { Client, type Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { Observable } from 'rxjs';
import type { TlsOptions } from 'varlog/log';
import { callMetadata, clientCredentials } from 'varlog/node';
import { z } from 'zod';
import { taken } from '../inputs.ts';
import { CallError, CallStream, callError } from './call-stream.ts';
import type { Operation, Replies, Requests } from './calls.ts';
import type { KvResult } from './machine.ts';
import type { Change } from './named-key.ts';
import { keyValue } from './proto.ts';
import { ANSWER_BYTES_MAX } from './range.ts';
import type { Listing, Versioned } from './service.ts';

const TRY_MS = 3_000;
/** A watch that was broken begins again after so long. */
const AGAIN_MS = 200;
const TRIES_MAX = 10;
/** Answers that another replica may not give. Every write carries an id, so it may be sent again whatever came of it. */
const ELSEWHERE = new Set([
  status.UNAVAILABLE,
  status.DEADLINE_EXCEEDED,
  status.RESOURCE_EXHAUSTED,
]);
/** Endings of a watch after which it goes on: at a replica that was stopped or killed, gRPC has many words for that. */
const WATCH_ON = new Set([
  ...ELSEWHERE,
  status.OK,
  status.CANCELLED,
  status.INTERNAL,
  status.UNKNOWN,
  // What one replica has forgotten another may know.
  status.OUT_OF_RANGE,
]);
const OPTIONS = {
  'grpc.max_receive_message_length': 2 * ANSWER_BYTES_MAX,
  // A replica that vanished without a word is found by these.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
};

const Addresses = z.array(z.string().min(1, 'is empty')).min(1, 'there are none');
/** What is in them is looked at by those who use it. A misspelt one would be none. */
const Options = z.strictObject({
  tls: z.looseObject({}).optional(),
  token: z.string().optional(),
});
const Stale = z.boolean();

/** A revision, and the log in which it counts. An empty one is not checked: for revisions that somebody typed. */
export interface KvRevision {
  readonly revision: number;
  readonly log: string;
}

/** What a watch gets. */
type ChangeMessage = Change & { readonly log: string; readonly more: boolean };

/**
 * Talks to the replicas of a store, to the next one when one does not answer. A write carries an id and so
 * takes effect once, however many replicas it was sent to.
 */
export class KvClient {
  private readonly addresses: readonly string[];
  private readonly replicas: Client[];
  private readonly streams: CallStream[];
  private readonly metadata: () => Metadata;
  private current = 0;
  /** Its requests are named by its own name and their number: short, since a name is kept for a day. */
  private readonly name = randomBytes(12).toString('base64url');
  private requests = 0;
  /** How each open watch is completed. */
  private readonly watches = new Set<() => void>();
  private closed = false;

  /**
   * `addresses`: gRPC addresses of the replicas. `token`: the access token to show, where they ask for one. Throws
   * `INVALID_ARGUMENT` without an address and for options that are none, and `CONFIG_INVALID` for certificates and tokens
   * that cannot be used.
   */
  constructor(
    addresses: readonly string[],
    options: { tls?: TlsOptions | undefined; token?: string | undefined } = {},
  ) {
    taken(Addresses, addresses, 'the addresses of the replicas', 'give host:port of each replica');
    taken(Options, options, 'the options of a KvClient', 'give tls and token, or leave them out');
    const { tls, token } = options;
    this.metadata = callMetadata(token);
    this.addresses = [...addresses];
    this.replicas = addresses.map((it) => new Client(it, clientCredentials(tls), OPTIONS));
    this.streams = this.replicas.map((it) => new CallStream(it, TRY_MS, this.metadata));
  }

  /** A value that is a string is written in UTF-8. */
  put(key: string, value: string | Uint8Array): Promise<KvResult & KvRevision> {
    return this.call('put', { key, value: bytes(value), requestId: this.requestId() });
  }

  delete(key: string): Promise<KvResult & KvRevision> {
    return this.call('delete', { key, requestId: this.requestId() });
  }

  /**
   * Writes only if the key still has the revision that a read or a write was answered with; `undefined`, or revision 0:
   * only if there is no such key. Rejects with `FAILED_PRECONDITION` where that answer came from another log.
   */
  compareAndSet(
    key: string,
    expected: KvRevision | undefined,
    value: string | Uint8Array,
  ): Promise<KvResult & KvRevision> {
    const { revision, log } = expected ?? { revision: 0, log: '' };
    // What is no number would travel as 0, which stands for a key that is not there.
    if (!isRevision(revision)) return Promise.reject(notRevision(revision));
    const request = {
      key,
      expected: revision,
      log,
      value: bytes(value),
      requestId: this.requestId(),
    };
    return this.call('compareAndSet', request);
  }

  async get(key: string, stale = false): Promise<(Versioned & KvRevision) | undefined> {
    taken(Stale, stale, 'stale', 'give true or false, or leave it out');
    const { found, value, revision, log } = await this.call('get', { key, stale });
    return found ? { value: value!, revision: revision!, log } : undefined;
  }

  list(prefix: string): Promise<Listing> {
    return this.call('list', { prefix, stale: false });
  }

  /**
   * Changes from revision `from` on (0: from now on), each once, going on at another replica when one is lost. `log` is
   * that of the listing that told the revision. Errors when the revision is another log's (`FAILED_PRECONDITION`: list the
   * keys anew), no replica knows it any more, or none has answered for a while. Completes when the client is closed.
   */
  watch$(prefix: string, from = 0, log = ''): Observable<Change> {
    return new Observable<Change>((subscriber) => {
      // Here it would stand for now.
      if (!isRevision(from)) return subscriber.error(notRevision(from));
      let next = from;
      let tag = log;
      let failures = 0;
      /** Changes of revision `next` that were seen, where the watch broke between two of them. */
      let seen = 0;
      let stop = (): void => {};
      const open = (): void => {
        const { path, requestSerialize, responseDeserialize } = keyValue['Watch']!;
        const request = { prefix, from: next, log: tag, progress: true };
        const asked = this.current;
        let repeated = seen;
        const call = this.replicas[asked]!.makeServerStreamRequest(
          path,
          requestSerialize,
          responseDeserialize,
          request,
          this.metadata(),
        );
        stop = () => call.cancel();
        call.on('data', ({ log: of, more, ...change }: ChangeMessage) => {
          failures = 0;
          tag = of;
          const { revision } = change;
          // It comes before all changes, or behind the last one of a revision.
          const isProgress = change.key === '' && change.keyBytes!.length === 0;
          if (isProgress) {
            next = Math.max(next, revision + 1);
            return;
          }
          // All replicas have the changes of a revision in the same order.
          const isRepeated = revision === next && repeated-- > 0;
          if (isRepeated) return;
          seen = more ? (revision === next ? seen : 0) + 1 : 0;
          next = more ? revision : revision + 1;
          subscriber.next(change);
        });
        // The status follows, as it does behind an end without an error.
        call.on('error', () => {});
        call.on('status', ({ code, details }: StatusObject) => {
          if (subscriber.closed) return;
          failures++;
          const triesMax = (code === status.OUT_OF_RANGE ? 1 : TRIES_MAX) * this.replicas.length;
          if (!WATCH_ON.has(code) || failures >= triesMax)
            return subscriber.error(callError({ code, details }));
          if (this.current === asked) this.current = (asked + 1) % this.replicas.length;
          const timer = setTimeout(open, AGAIN_MS);
          stop = () => clearTimeout(timer);
        });
      };
      const complete = (): void => subscriber.complete();
      subscriber.add(() => {
        this.watches.delete(complete);
        stop();
      });
      if (this.closed) return complete();
      this.watches.add(complete);
      open();
    });
  }

  /** Calls that are under way reject; watches complete. */
  close(): void {
    this.closed = true;
    for (const complete of this.watches) complete();
    for (const it of this.streams) it.close();
    for (const it of this.replicas) it.close();
  }

  private requestId(): string {
    return `${this.name}${(this.requests++).toString(36)}`;
  }

  private async call<K extends Operation>(operation: K, request: Requests[K]): Promise<Replies[K]> {
    let last: CallError | undefined;
    for (let tries = 0; tries < 2 * this.replicas.length; tries++) {
      const asked = this.current;
      try {
        return await this.streams[asked]!.call(operation, request);
      } catch (error) {
        last = error as CallError;
        if (!ELSEWHERE.has(last.code)) throw error;
        if (this.current === asked) this.current = (asked + 1) % this.replicas.length;
      }
    }
    // There is at least one replica.
    const { code, message } = last!;
    const what = `no replica at ${this.addresses.join(', ')} answered the call (last: ${message})`;
    const next = 'check that they run, and the addresses; a write may have taken effect, once';
    throw new CallError(code, `${what}; ${next}`);
  }
}

function isRevision(revision: number): boolean {
  return Number.isSafeInteger(revision) && revision >= 0;
}

function notRevision(given: number): CallError {
  const what = `${given} is not a revision; give what an answer had`;
  return new CallError(status.INVALID_ARGUMENT, what);
}

function bytes(value: string | Uint8Array): Uint8Array {
  return typeof value === 'string' ? Buffer.from(value) : value;
}
