import { VarlogError } from 'varlog/log';
import { TestCluster, textsOf } from './processes.ts';

const CLIENTS = 4;
const KILLS = 4;
const TIMEOUT_MS = 60_000;

test('money that is moved between log streams under load, with nodes killed by -9 one after the other and all at once: each transfer stands in the log as a whole, where it was said to be, or not at all', async () => {
  await using cluster = await TestCluster.start(3);
  const varlog = await cluster.connect();
  const topic = await varlog.createTopic({ logStreams: 3 });
  const logStreams = (await topic.describe()).logStreams.map((it) => it.id);
  const places = new Map<string, number>();
  const refused: string[] = [];
  let unknown = 0;
  let over = false;
  const transfer = async (name: string, from: number, to: number): Promise<void> => {
    const texts = [`${name} -1`, `${name} 1`];
    const parts = [from, to].map((logStream, i) => ({ logStream, records: texts[i]! }));
    try {
      const acks = await topic.appendAtomically(parts, { timeoutMs: TIMEOUT_MS });
      for (const [i, { glsn }] of acks.entries()) places.set(texts[i]!, glsn);
    } catch (error) {
      if (!VarlogError.is(error)) throw error;
      if (error.outcome === 'notAppended') refused.push(...texts);
      else unknown++;
    }
  };
  const load = Array.from({ length: CLIENTS }, async (_, id) => {
    for (let i = 0; !over; i++) {
      const from = (id + i) % 3;
      await transfer(`${id}.${i}`, logStreams[from]!, logStreams[(from + 1 + (i % 2)) % 3]!);
    }
  });
  const checkBalance = async (): Promise<string[]> => {
    const texts = await textsOf(topic);
    const balances = new Map<string, number>();
    for (const it of texts) {
      const [name = '', amount] = it.split(' ');
      balances.set(name, (balances.get(name) ?? 0) + Number(amount));
    }
    expect([...balances].filter(([, balance]) => balance !== 0)).toEqual([]);
    return texts;
  };
  for (let i = 0; i < KILLS; i++) {
    const before = places.size;
    while (places.size < before + 20) await new Promise((resolve) => setTimeout(resolve, 20));
    await checkBalance();
    if (i === KILLS - 1) await cluster.killAll();
    else await cluster.nodes[i % cluster.nodes.length]!.end('SIGKILL');
    cluster.startAll();
    await cluster.ready();
  }
  over = true;
  await Promise.all(load);
  const texts = await checkBalance();
  expect(new Set(texts).size).toBe(texts.length);
  for (const [text, glsn] of places) expect(texts[glsn - 1]).toBe(text);
  for (const it of refused) expect(texts).not.toContain(it);
  console.log(`${texts.length} records, ${refused.length / 2} refused, ${unknown} unknown`);
  await varlog.close();
}, 300_000);
