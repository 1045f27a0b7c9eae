import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Entry, VarlogError } from 'varlog/log';
import { TestCluster } from './processes.ts';

const ROUNDS = 6;
/** With many, what log streams write at a time goes to a write-ahead log first. */
const LOADS = [
  { logStreams: 2, clients: 4 },
  { logStreams: 32, clients: 32 },
];
const LOAD_MS = 400;

/** What a client was told: the text and where it lies; or that nobody knows. */
interface Attempt {
  readonly text: string;
  glsn?: number;
  failed?: boolean;
}

describe('kill -9 of every process at once, under load', () => {
  const what = `${ROUNDS} times: what was acknowledged is there, in the same order, at the same GLSN`;
  test.each(LOADS)(
    `${what} ($clients clients, $logStreams log streams)`,
    async (load) => {
      const { logStreams, clients } = load;
      await using cluster = await TestCluster.start(3);
      let varlog = await cluster.connect();
      const { id } = await varlog.createTopic({ logStreams });
      const attempts: Attempt[] = [];
      const seen = new Map<number, string>();
      let wroteAhead = false;

      for (let round = 0; round < ROUNDS; round++) {
        const until = Date.now() + LOAD_MS;
        const loads = Array.from({ length: clients }, async (_, client) => {
          for (let i = 0; Date.now() < until + 2_000; i++) {
            const attempt: Attempt = { text: `round ${round} client ${client} append ${i}` };
            attempts.push(attempt);
            try {
              const timeoutMs = 1_000;
              attempt.glsn = (await varlog.topic(id).append(attempt.text, { timeoutMs })).glsn;
            } catch (error) {
              if (VarlogError.is(error) && error.outcome === 'notAppended') attempt.failed = true;
              return;
            }
          }
        });
        await new Promise((resolve) => setTimeout(resolve, LOAD_MS));
        await cluster.killAll();
        const folder = join(cluster.folderOf(1), 'storage-1');
        wroteAhead ||= readdirSync(folder).includes('write-ahead');
        await Promise.all(loads);
        await varlog.close();

        cluster.startAll();
        await cluster.ready();
        varlog = await cluster.connect();
        await varlog.topic(id).append(`round ${round} is over`);
        const entries: Entry[] = [];
        for await (const entry of varlog.topic(id).read()) entries.push(entry);
        checkRound(entries, attempts, seen);
      }
      await varlog.close();
      const acknowledged = attempts.filter((it) => it.glsn !== undefined).length;
      console.log(`${acknowledged} appends were acknowledged in ${ROUNDS} rounds`);
      expect(acknowledged).toBeGreaterThan(ROUNDS);
      expect(wroteAhead || logStreams === 2).toBe(true);
    },
    240_000,
  );
});

function checkRound(entries: Entry[], attempts: Attempt[], seen: Map<number, string>): void {
  // Dense and unique GLSNs, and no text twice.
  expect(entries.map((it) => it.glsn)).toEqual(entries.map((_, i) => i + 1));
  const texts = new Map<string, number>();
  for (const entry of entries) {
    expect(texts.has(entry.text())).toBe(false);
    texts.set(entry.text(), entry.glsn);
  }
  // What one reader saw, every later one sees.
  for (const [glsn, text] of seen) expect(entries[glsn - 1]?.text()).toBe(text);
  for (const entry of entries) seen.set(entry.glsn, entry.text());
  for (const { text, glsn, failed } of attempts) {
    if (glsn !== undefined) expect(texts.get(text)).toBe(glsn);
    if (failed === true) expect(texts.has(text)).toBe(false);
  }
}
