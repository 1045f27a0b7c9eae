import type { Context } from 'hono';
import { type HttpEnv, HttpStatus } from 'varlog/node';
import { errorBody, headersOf, jsonReply, queryOf } from '../http.ts';
import { Prefix, WatchedFrom, WatchedUntil } from './inputs.ts';
import { keyOfText, keysWithPrefix } from './key.ts';
import { isOfAnotherLog } from './log-tag.ts';
import { changeOf } from './named-key.ts';
import type { KvService, Watched, WatchStart } from './service.ts';
import { shown, shownKey } from './shown.ts';

/**
 * Answers with the changes as server-sent events. Each carries as id its log and up to which revision all was sent, so a
 * reader that comes back with `Last-Event-ID` misses nothing, also one that has seen no change yet: an id without data says
 * where the store is, at the beginning, and now and then when nothing else comes. Who was cut off between two changes of one
 * revision gets all of that revision again.
 * What ends the watch is the event `failed`; what keeps it from beginning is the answer.
 */
export async function watchOverHttp(service: KvService, c: Context<HttpEnv>): Promise<Response> {
  const { prefix } = queryOf(c, Prefix);
  const start = startOf(c);
  const { signal } = c.req.raw;
  const pieces = service.watch(keysWithPrefix(keyOfText(prefix)), start, signal);
  try {
    const { value: first } = await pieces.next();
    return new Response(ReadableStream.from(eventsOf(first, pieces, signal)), {
      headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' },
    });
  } catch (error) {
    if (isOfAnotherLog(error)) return jsonReply(HttpStatus.preconditionFailed, errorBody(error));
    throw error;
  }
}

/** The next piece is taken when the one before is on its way. */
async function* eventsOf(
  first: Watched,
  others: AsyncGenerator<Watched>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  try {
    yield Buffer.from(textOf(first));
    for await (const it of others) yield Buffer.from(textOf(it));
  } catch (error) {
    if (signal.aborted) return;
    yield Buffer.from(`event: failed\ndata: ${JSON.stringify(errorBody(error))}\n\n`);
  } finally {
    // Also where the reader has left at the first.
    await others.return(undefined);
  }
}

function textOf({ changes, through, log }: Watched): string {
  if (changes.length === 0) return `id: ${log}:${through}\n\n`;
  return changes
    .map((version, i) => {
      const { value, revision, ...key } = changeOf(version);
      const data = JSON.stringify({ ...shownKey(key), revision, ...(value && shown(value)) });
      const complete = changes[i + 1]?.revision === revision ? revision - 1 : revision;
      return `id: ${log}:${complete}\ndata: ${data}\n\n`;
    })
    .join('');
}

function startOf(c: Context<HttpEnv>): WatchStart {
  const { 'last-event-id': last } = headersOf(
    c,
    WatchedUntil,
    'send the last one as it came, or watch with from=REVISION',
  );
  if (last !== undefined) return { from: last.revision + 1, log: last.log };
  const { from, log } = queryOf(c, WatchedFrom);
  return { ...(from > 0 && { from }), ...(log !== '' && { log }) };
}
