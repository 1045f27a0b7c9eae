import { TestCluster, textsOf } from './processes.ts';

const PRODUCERS = 3;
const KILLS = 6;
/** Longer than it takes a slow machine to start every process again. */
const TIMEOUT_MS = 120_000;

test('producers under load, with nodes killed by -9 one after the other and all at once: each append stands in the log once, where it was said to be', async () => {
  await using cluster = await TestCluster.start(3);
  const varlog = await cluster.connect();
  const topic = await varlog.createTopic({ logStreams: 2 });
  const places = new Map<string, number>();
  let over = false;
  let duplicates = 0;
  const load = Array.from({ length: PRODUCERS }, async (_, id) => {
    const producer = await topic.producer({ id });
    for (let i = 0; !over; i += 2) {
      const texts = [`${id} ${i}`, `${id} ${i + 1}`];
      const acks = await Promise.all(
        texts.map((it) => producer.append(it, { timeoutMs: TIMEOUT_MS })),
      );
      for (const [k, { glsn, sequence, duplicate }] of acks.entries()) {
        expect(sequence).toBe(i + k);
        places.set(texts[k]!, glsn);
        if (duplicate) duplicates++;
      }
    }
  });
  for (let i = 0; i < KILLS; i++) {
    const before = places.size;
    while (places.size < before + 20) await new Promise((resolve) => setTimeout(resolve, 20));
    if (i === KILLS - 1) await cluster.killAll();
    else await cluster.nodes[i % cluster.nodes.length]!.end('SIGKILL');
    cluster.startAll();
    await cluster.ready();
  }
  over = true;
  await Promise.all(load);
  const texts = await textsOf(topic);
  expect(new Set(texts).size).toBe(texts.length);
  expect(texts.length).toBe(places.size);
  for (const [text, glsn] of places) expect(texts[glsn - 1]).toBe(text);
  for (let id = 0; id < PRODUCERS; id++) {
    const own = texts.filter((it) => it.startsWith(`${id} `));
    expect(own).toEqual(own.map((_, i) => `${id} ${i}`));
  }
  console.log(`${texts.length} records, ${duplicates} of them acknowledged as repeated`);
  await varlog.close();
}, 300_000);
