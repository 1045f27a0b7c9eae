import { type Ports, sleep, VarlogError } from '../../framework/base/index.ts';
import type { World } from '../../framework/testing/index.ts';
import { type CommandRecord, must } from './memory.ts';
import { connect, endpoints } from './three-nodes.ts';

export interface Attempt {
  readonly text: string;
  outcome: 'acknowledged' | 'notAppended' | 'unknown';
  glsn?: number;
  begunMs: number;
  doneMs: number;
}

/** What clients were told, while the cluster went through faults. */
export interface History {
  attempts: Attempt[];
  commands: CommandRecord[];
}

/** What the clients of a scenario append, where that is more than a few words anywhere. */
export type Shape = (text: string, i: number) => { text: string; logStream?: number };

/** Clients that append until it is over, and note what they were told. */
export function startAppenders(
  world: World,
  count: number,
  topicId: number,
  history: History,
  over: () => boolean,
  shape: Shape = (text) => ({ text }),
): Promise<void>[] {
  return Array.from({ length: count }, (_, i) =>
    appendUntil(world.ports(`client-${i}`), topicId, `client ${i}`, history, over, shape),
  );
}

async function appendUntil(
  ports: Ports,
  topicId: number,
  name: string,
  { attempts }: History,
  over: () => boolean,
  shape: Shape,
): Promise<void> {
  const varlog = await connect(ports);
  for (let i = 0; !over(); i++) {
    const { text, ...place } = shape(`${name} append ${i}`, i);
    const attempt: Attempt = { text, outcome: 'unknown', begunMs: ports.clock.now(), doneMs: 0 };
    attempts.push(attempt);
    try {
      const batch = i % 5 === 0 ? [text, `${text} bis`] : text;
      const { glsn } = await varlog.topic(topicId).append(batch, { ...place, timeoutMs: 5_000 });
      attempt.outcome = 'acknowledged';
      attempt.glsn = glsn;
    } catch (error) {
      if (!VarlogError.is(error)) throw error;
      attempt.outcome = error.outcome ?? 'unknown';
    }
    attempt.doneMs = ports.clock.now();
    await sleep(ports.clock, 20 + ports.random.below(60));
  }
  await varlog.close();
}

export async function checkLog(
  ports: Ports,
  topicId: number,
  { attempts }: History,
  at: readonly string[] = endpoints,
): Promise<void> {
  const varlog = await connect(ports, at);
  const topic = varlog.topic(topicId);
  await topic.append('the end', { timeoutMs: 60_000 });
  const texts: string[] = [];
  const streams = new Map<number, number>();
  for await (const entry of topic.read()) {
    texts.push(entry.text());
    must(entry.glsn === texts.length, `GLSN ${entry.glsn} comes after ${texts.length - 1}`);
    const llsn = (streams.get(entry.logStream) ?? 0) + 1;
    must(entry.llsn === llsn, `LLSN ${entry.llsn} of ${entry.logStream} comes after ${llsn - 1}`);
    streams.set(entry.logStream, llsn);
  }
  const places = new Map(texts.map((text, i) => [text, i + 1]));
  must(places.size === texts.length, 'a record is there twice');
  for (const { text, outcome, glsn } of attempts) {
    const place = places.get(text);
    if (outcome === 'acknowledged') must(place === glsn, `"${text}" is at ${place}, not ${glsn}`);
    if (outcome === 'notAppended') must(place === undefined, `"${text}" was refused, and is there`);
    const bis = places.get(`${text} bis`);
    must(bis === undefined || bis === place! + 1, `the batch of "${text}" was torn`);
  }
  checkRealTime(attempts);
  await varlog.close();
}

/** An append that began after another one was acknowledged has a larger GLSN. Clocks drift a little. */
function checkRealTime(attempts: readonly Attempt[]): void {
  const done = attempts.filter((it) => it.glsn !== undefined);
  for (const earlier of done) {
    for (const later of done) {
      if (later.begunMs <= earlier.doneMs + 50) continue;
      must(later.glsn! > earlier.glsn!, `"${later.text}" came before "${earlier.text}"`);
    }
  }
}
