import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { errorBody, invalid } from '../http.ts';
import type { KvService, Watched } from './service.ts';
import { shown } from './shown.ts';

/**
 * Answers with the changes as server-sent events. Each carries its revision as id, so a reader that comes back with
 * `Last-Event-ID` misses nothing, also one that has seen no change yet: an id without data says where the store is. What
 * ends the watch is the event `failed`; what keeps it from beginning is the answer.
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
      fromOf(request, query),
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
    if (!response.headersSent) throw error;
    response.end(`event: failed\ndata: ${JSON.stringify(errorBody(error))}\n\n`);
  }
}

function eventsOf({ changes, through }: Watched): string {
  if (changes.length === 0) return `id: ${through}\n\n`;
  return changes
    .map(({ value, ...change }) => {
      const data = JSON.stringify({ ...change, ...(value && shown(value)) });
      return `id: ${change.revision}\ndata: ${data}\n\n`;
    })
    .join('');
}

function fromOf(request: IncomingMessage, query: URLSearchParams): number | undefined {
  const last = request.headers['last-event-id'];
  if (typeof last === 'string') return revisionOf(last) + 1;
  const from = query.get('from');
  // As in kv.proto: 0 is from now on.
  return from === null ? undefined : revisionOf(from) || undefined;
}

function revisionOf(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw invalid(`"${text.slice(0, 20)}" is not a revision`, 'give a whole number, as in an ETag');
}
