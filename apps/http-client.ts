import { request } from 'node:http';
import { VarlogError } from 'varlog/log';
import { z } from 'zod';
import { codeOfStatus } from './error-status.ts';
import { taken } from './inputs.ts';

const CALL_MS = 30_000;
/** The longest that a timer of Node.js can be set for. */
const TIMER_MS_MAX = 2 ** 31 - 1;

const Address = z.string().regex(/^[^\s/]+:\d+$/, 'is not host:port');
const TimeoutMs = z
  .custom<number>((it) => typeof it === 'number' && it >= 0, 'is no number of milliseconds')
  .default(CALL_MS);
const Signal = z
  .custom<AbortSignal>((it) => typeof Object(it).aborted === 'boolean', 'cannot be aborted')
  .optional();
const Token = z.string().min(1, 'is empty').optional();

/** A request, and how its failure is told. */
export interface JsonCall {
  readonly method: 'GET' | 'POST';
  /** Behind the address, from its first slash on. */
  readonly path: string;
  readonly body?: unknown;
  /** Whether it can change something: then its outcome is unknown where no answer comes. */
  readonly writes?: boolean;
  /** Facts for whoever gets the error. */
  readonly details?: Record<string, unknown>;
  /** What to do where no answer came, though it may have taken effect. */
  readonly repeat?: string | undefined;
  /** Whether an answer that is no success is one all the same. */
  readonly accepts?: (status: number, answer: object) => boolean;
  readonly signal?: AbortSignal | undefined;
  /** Default: 30,000. */
  readonly timeoutMs?: number | undefined;
}

/** A service that speaks JSON at the other end of HTTP. */
export class JsonClient {
  private readonly root: string;
  private readonly service: string;
  private readonly headers: () => Record<string, string>;

  /**
   * `address` is `host:port`; `service` is what answers there, in words; `token` is shown to it. Throws `INVALID_ARGUMENT` for
   * an address or a token that is none.
   */
  constructor(address: string, service: string, token?: string) {
    taken(Address, address, `the address of the ${service}`, 'give host:port of a replica');
    taken(Token, token, 'the token', 'give the text of an access token, or leave it out');
    this.root = `http://${address}`;
    this.service = service;
    const headers: Record<string, string> =
      token === undefined ? {} : { authorization: `Bearer ${token}` };
    // What holds the client does not show the token.
    this.headers = () => headers;
  }

  /** Resolves with the answer. Rejects with the error that it stands for, `UNREACHABLE`, or `INVALID_ARGUMENT` for limits that are none. */
  async call<T>(call: JsonCall): Promise<T> {
    const { method, path, body, writes = false, details = {}, accepts, signal } = call;
    const timeoutMs = taken(TimeoutMs, call.timeoutMs, 'timeoutMs', 'give a number from 0 on');
    taken(Signal, signal, 'signal', 'give the signal of an AbortController, or leave it out');
    // Not `AbortSignal.any`: what that makes of a signal that lives long stays with it.
    const ending = new AbortController();
    const end = (): void => ending.abort(signal?.reason);
    signal?.addEventListener('abort', end);
    const timer = setTimeout(end, Math.min(timeoutMs, TIMER_MS_MAX));
    let reply: Reply;
    try {
      signal?.throwIfAborted();
      reply = await exchange(this.root, {
        method,
        path,
        headers: this.headers(),
        signal: ending.signal,
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch (cause) {
      signal?.throwIfAborted();
      throw this.unreachable(cause, call);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
    }
    const { status } = reply;
    const answer = objectIn(reply.text) as { code?: unknown; message?: string; outcome?: unknown };
    if ((status >= 200 && status < 300) || accepts?.(status, answer) === true) return answer as T;
    const { code, outcome = writes ? 'unknown' : undefined } = answer;
    throw new VarlogError(codeOfStatus(status, code), {
      what: answer.message ?? `the ${this.service} answered ${status}`,
      ...(outcome === 'unknown' || outcome === 'notAppended' ? { outcome } : {}),
      details,
    });
  }

  private unreachable(cause: unknown, { writes = false, details, repeat }: JsonCall): VarlogError {
    const refused = (cause as { code?: unknown }).code === 'ECONNREFUSED';
    return new VarlogError('UNREACHABLE', {
      what: `no ${this.service} answers at ${this.root}`,
      next:
        refused || !writes || repeat === undefined
          ? `start one with "serve", or name another with --${this.service}`
          : repeat,
      outcome: refused || !writes ? 'notAppended' : 'unknown',
      details: writes ? (details ?? {}) : {},
      cause,
    });
  }
}

interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly signal: AbortSignal;
  readonly body: string | undefined;
}

interface Reply {
  readonly status: number;
  readonly text: string;
}

/**
 * One request and its answer. Not by `fetch`: that gives up an answer that takes more than five minutes, whatever its caller
 * allows, and makes another path of one with dots, which a name may be.
 */
function exchange(root: string, { body, ...options }: Exchange): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = request(new URL(root), options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
      );
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

function objectIn(text: string): object {
  try {
    return Object(JSON.parse(text)) as object;
  } catch {
    return {};
  }
}
