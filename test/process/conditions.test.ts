import { type Topic, VarlogError } from 'varlog/log';
import { TestCluster } from './processes.ts';

const CLIENTS = 3;
const KILLS = 2;
const STEPS = 12;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A record of the counter: what it counts to, by whom, and with which token. */
interface Step {
  readonly value: number;
  readonly by: number;
  readonly token: number;
}

/** Where the counter stands, as its records say. */
async function read(topic: Topic): Promise<{ steps: Step[]; tail: number }> {
  const steps: Step[] = [];
  let tail = 0;
  for await (const it of topic.read()) {
    steps.push(JSON.parse(it.text()) as Step);
    tail = it.llsn;
  }
  return { steps, tail };
}

/** What may go wrong with nodes that are killed. */
function mustBeExpected(error: unknown): void {
  if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
}

test('a counter under load, with nodes killed by -9 one after the other and all at once: no counter loses or repeats a step, and nobody writes who was fenced off', async () => {
  await using cluster = await TestCluster.start(3);
  const varlog = await cluster.connect();
  const topic = await varlog.createTopic();
  const acknowledged: Step[] = [];
  const fences: { token: number; last: number }[] = [];
  let refused = 0;
  let over = false;
  const count = async (by: number): Promise<void> => {
    const token = await topic.fence({ timeoutMs: 60_000 });
    fences.push({ token, last: (await topic.watermarks({ timeoutMs: 60_000 })).last });
    let { steps, tail } = await read(topic);
    let value = steps.at(-1)?.value ?? 0;
    for (let i = 0; i < 20 && !over; i++) {
      const step = { value: value + 1, by, token };
      try {
        const ack = await topic.append(JSON.stringify(step), { expect: { tail, fence: token } });
        acknowledged.push(step);
        ({ value } = step);
        tail = ack.llsn;
      } catch (error) {
        mustBeExpected(error);
        if (VarlogError.is(error, 'CONDITION_FAILED')) {
          refused++;
          if (error.details['condition'] === 'fence') return;
        }
        ({ steps, tail } = await read(topic));
        value = steps.at(-1)?.value ?? 0;
      }
    }
  };
  const load = Array.from({ length: CLIENTS }, async (_, by) => {
    while (!over) {
      await count(by).catch(mustBeExpected);
      await pause(20 * by);
    }
  });
  for (let i = 0; i < KILLS; i++) {
    const before = acknowledged.length;
    while (acknowledged.length < before + STEPS) await pause(20);
    if (i === KILLS - 1) await cluster.killAll();
    else await cluster.nodes[i % cluster.nodes.length]!.end('SIGKILL');
    cluster.startAll();
    await cluster.ready();
  }
  over = true;
  await Promise.all(load);
  const { steps } = await read(topic);
  expect(steps.map((it) => it.value)).toEqual(steps.map((_, i) => i + 1));
  for (const it of acknowledged) expect(steps[it.value - 1]).toEqual(it);
  const tokens = steps.map((it) => it.token);
  expect(tokens).toEqual([...tokens].sort((a, b) => a - b));
  for (const { token, last } of fences) {
    expect(tokens.slice(last).filter((it) => it < token)).toEqual([]);
  }
  expect(refused).toBeGreaterThan(0);
  console.log(`${steps.length} steps, ${refused} refused, ${fences.length} fences`);
  await varlog.close();
}, 300_000);
