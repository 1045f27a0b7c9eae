import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { errorBody, invalid, sendJson } from '../http.ts';
import { isOfAnotherLog } from './log-tag.ts';
import type { KvService, Watched, WatchStart } from './service.ts';
import { shown } from './shown.ts';

const LAST = 'send the last one as it came, or watch with from=REVISION';

/**
 * Answers with the changes as server-sent events. Each carries its log and revision as id, so a reader that comes back
 * with `Last-Event-ID` misses nothing, also one that has seen no change yet: an id without data says where the store is.
 * What ends the watch is the event `failed`; what keeps it from beginning is the answer.
 */
export async function watchOverHttp(
  service: KvService,
  request: IncomingMessage,
  response: ServerResponse,
  query: URLSearchParams,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const { signal } = gone;
  try {
    for await (const it of service.watch(
      query.get('prefix') ?? '',
      startOf(request, query),
      signal,
    )) {
      if (!response.headersSent) {
        response.writeHead(200, {
          'content-type': 'text/event-stream',
          'cache-control': 'no-cache',
        });
      }
      // The next piece is taken when this one is on its way.
      if (!response.write(eventsOf(it))) await once(response, 'drain', { signal });
    }
  } catch (error) {
    if (signal.aborted) return;
    if (!response.headersSent) {
      if (!isOfAnotherLog(error)) throw error;
      return sendJson(response, 412, errorBody(error));
    }
    response.end(`event: failed\ndata: ${JSON.stringify(errorBody(error))}\n\n`);
  }
}

function eventsOf({ changes, through, log }: Watched): string {
  if (changes.length === 0) return `id: ${log}:${through}\n\n`;
  return changes
    .map(({ value, ...change }) => {
      const data = JSON.stringify({ ...change, ...(value && shown(value)) });
      return `id: ${log}:${change.revision}\ndata: ${data}\n\n`;
    })
    .join('');
}

function startOf(request: IncomingMessage, query: URLSearchParams): WatchStart {
  const last = request.headers['last-event-id'];
  if (typeof last === 'string') {
    const [, log, revision] = /^([^:]*):([^:]*)$/.exec(last) ?? [];
    if (log === undefined) throw invalid(`"${last.slice(0, 40)}" is not the id of an event`, LAST);
    return { from: revisionOf(revision!) + 1, log };
  }
  // As in kv.proto: 0 is from now on.
  const from = revisionOf(query.get('from') ?? '0');
  const log = query.get('log') ?? '';
  return { ...(from > 0 && { from }), ...(log !== '' && { log }) };
}

function revisionOf(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw invalid(
    `"${text.slice(0, 20)}" is not a revision`,
    'give a whole number, as a listing has it',
  );
}
