import { TestCluster } from './processes.ts';

const CLIENTS = 4;
const APPENDS = 250;

describe('one order for everybody', () => {
  test('two log streams, four concurrent clients, subscribers from any start', async () => {
    await using cluster = await TestCluster.start(3);
    await using varlog = await cluster.connect();
    const topic = await varlog.createTopic({ logStreams: 2 });
    const early = topic.tail({ from: 'start' });
    const live: string[] = [];
    const following = (async () => {
      for await (const entry of early) {
        live.push(`${entry.glsn} ${entry.logStream} ${entry.text()}`);
        if (live.length === CLIENTS * APPENDS) return;
      }
    })();

    const acknowledged: { text: string; glsn: number; begun: number; done: number }[] = [];
    let step = 0;
    await Promise.all(
      Array.from({ length: CLIENTS }, async (_, client) => {
        await using own = await cluster.connect();
        for (let i = 0; i < APPENDS; i++) {
          const text = `client ${client} append ${i}`;
          const begun = step++;
          const { glsn } = await own.topic(topic.id).append(text);
          acknowledged.push({ text, glsn, begun, done: step++ });
        }
      }),
    );
    await following;

    const glsns = acknowledged.map((it) => it.glsn).sort((a, b) => a - b);
    expect(glsns).toEqual(glsns.map((_, i) => i + 1));

    // Real time: whatever was acknowledged before an append began has a smaller GLSN.
    const byEnd = [...acknowledged].sort((a, b) => a.done - b.done);
    const byBegin = [...acknowledged].sort((a, b) => a.begun - b.begun);
    let largest = 0;
    let next = 0;
    for (const it of byBegin) {
      while (next < byEnd.length && byEnd[next]!.done < it.begun) {
        largest = Math.max(largest, byEnd[next++]!.glsn);
      }
      expect(it.glsn).toBeGreaterThan(largest);
    }

    expect(new Set(live.map((it) => it.split(' ')[1])).size).toBe(2);
    for (const from of [1, 2, 77, CLIENTS * APPENDS]) {
      const seen: string[] = [];
      for await (const entry of topic.read({ from })) {
        seen.push(`${entry.glsn} ${entry.logStream} ${entry.text()}`);
      }
      expect(seen).toEqual(live.slice(from - 1));
    }
    for (const { text, glsn } of acknowledged) expect(live[glsn - 1]).toContain(text);
  }, 60_000);
});
