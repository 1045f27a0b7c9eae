import {
  type Channel,
  decodeBatch,
  type Ports,
  sleep,
  VarlogError,
} from '../../framework/base/index.ts';
import { LogStreams, ReadRequest } from '../../framework/wire/gen/log.ts';
import * as snpb from '../../framework/wire/gen/snpb.ts';
import type { History } from './append-history.ts';
import { must } from './memory.ts';
import { connect } from './three-nodes.ts';

const CALL_TIMEOUT_MS = 4_000;
/** So often a replica is asked that does not answer when all is well: it may still be on its way back. */
const TRIES = 5;
const PORT = 9092;

/** What one replica called all records of its log stream up to a GLSN. */
export interface Answer {
  readonly what: string;
  readonly logStreamId: number;
  readonly end: number;
  /** Whether it was asked by the published interface, which knows no times. */
  readonly published: boolean;
  /** `glsn text`, and ` at timestamp`. */
  readonly found: readonly string[];
}

/** Asks the replicas of one node, and no other, for all records up to the newest that is known, by every way there is. */
export async function readFromEach(
  ports: Ports,
  name: string,
  topicId: number,
  { attempts }: History,
  answers: Answer[],
  over: () => boolean,
): Promise<void> {
  const channel = ports.network.connect(`${name}:${PORT}`);
  while (!over()) {
    await sleep(ports.clock, 100 + ports.random.below(400));
    const end = newestOf(attempts);
    if (end === 0) continue;
    const logStreamId = 1 + ports.random.below(2);
    const published = ports.random.below(2) === 0;
    const answer = await ask(ports, channel, name, { topicId, logStreamId, end, published });
    if (answer !== undefined) answers.push(answer);
  }
  channel.close();
}

/** What each replica of the two log streams of a topic has when all is well: asked until it answers, for a time. */
export async function readAllOfEach(
  ports: Ports,
  names: readonly string[],
  topicId: number,
  { attempts }: History,
): Promise<Answer[]> {
  const answers: Answer[] = [];
  const end = newestOf(attempts);
  for (const name of end === 0 ? [] : names) {
    const channel = ports.network.connect(`${name}:${PORT}`);
    for (const logStreamId of [1, 2]) {
      const question = { topicId, logStreamId, end, published: false };
      let answer: Answer | undefined;
      for (let tries = 0; answer === undefined && tries < TRIES; tries++) {
        if (tries > 0) await sleep(ports.clock, CALL_TIMEOUT_MS);
        answer = await ask(ports, channel, name, question);
      }
      if (answer !== undefined) answers.push(answer);
    }
    channel.close();
  }
  return answers;
}

function newestOf(attempts: History['attempts']): number {
  return Math.max(0, ...attempts.map((it) => it.glsn ?? 0));
}

type Question = Pick<Answer, 'logStreamId' | 'end' | 'published'> & { readonly topicId: number };

/** `undefined`: the replica did not answer, or not in full. */
async function ask(
  ports: Ports,
  channel: Channel,
  name: string,
  { topicId, logStreamId, end, published }: Question,
): Promise<Answer | undefined> {
  const found: string[] = [];
  const controller = new AbortController();
  const limit = ports.clock.after(CALL_TIMEOUT_MS, () =>
    controller.abort(new VarlogError('TIMEOUT', { what: 'the replica owes an answer' })),
  );
  try {
    if (published) {
      const request = { topicId, logStreamId, glsnBegin: 1, glsnEnd: end + 1 };
      const { Subscribe } = snpb.LogIO;
      const stream = channel.subscribe(Subscribe, snpb.SubscribeRequest.create(request), {
        signal: controller.signal,
      });
      stream.receive(({ glsn, payload }) => {
        found.push(`${glsn} ${text(payload)}`);
      });
      await stream.closed;
    } else {
      const request = ReadRequest.create({ topicId, logStreamId, fromGlsn: 1, toGlsn: end });
      const stream = channel.subscribe(LogStreams.Read, request, { signal: controller.signal });
      stream.receive(({ batches }) => {
        for (const { count, records, glsn, timestamp } of batches) {
          for (const [i, it] of decodeBatch({ count, bytes: records }).entries()) {
            if (glsn + i <= end) found.push(`${glsn + i} ${text(it)} at ${timestamp}`);
          }
        }
      });
      await stream.closed;
    }
    const what = `${published ? 'Subscribe' : 'Read'} of ${logStreamId} up to ${end} on ${name}`;
    return { what, logStreamId, end, published, found };
  } catch (error) {
    if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
    return undefined;
  } finally {
    limit.cancel();
  }
}

/** Each answer that was called complete holds exactly what the log holds. */
export async function checkAnswers(
  ports: Ports,
  topicId: number,
  answers: readonly Answer[],
): Promise<void> {
  const varlog = await connect(ports);
  const log = new Map<number, { glsn: number; line: string; timestamp: number }[]>();
  for await (const entry of varlog.topic(topicId).read()) {
    const { glsn, logStream, timestamp } = entry;
    const records = log.get(logStream) ?? [];
    log.set(logStream, records);
    must(timestamp > 0, `record ${glsn} has no time`);
    must(timestamp >= (records.at(-1)?.timestamp ?? 0), `the time of record ${glsn} goes back`);
    records.push({ glsn, line: `${glsn} ${entry.text()}`, timestamp });
  }
  for (const { what, logStreamId, end, published, found } of answers) {
    const due = (log.get(logStreamId) ?? [])
      .filter((it) => it.glsn <= end)
      .map(({ line, timestamp }) => (published ? line : `${line} at ${timestamp}`));
    const at = due.findIndex((it, i) => it !== found[i]);
    const wrong = at === -1 ? `"${found[due.length]}" is too much` : `"${due[at]}" is missing`;
    must(due.length === found.length && at === -1, `${what}: ${wrong}`);
  }
  must(answers.length > 0, 'no replica has answered');
  await varlog.close();
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
