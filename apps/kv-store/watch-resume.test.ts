import { connect, createServer, type Server, type Socket } from 'node:net';
import { lastValueFrom, takeWhile, toArray } from 'rxjs';
import { KvClient } from './client.ts';
import { putRequest } from './etcd/requests.fixture.ts';
import { type StartedStore, startStore } from './store.fixture.ts';

const KEYS = Array.from({ length: 20 }, (_, i) => `key-${String(i).padStart(2, '0')}`);

/** Writes all keys with one revision, which it gives. */
async function writeTogether(store: StartedStore): Promise<number> {
  const success = KEYS.map((key) => ({
    request: 'requestPut' as const,
    requestPut: putRequest(key, 'x'),
  }));
  const request = { compare: [], success, failure: [] };
  return (await store.service.perform({ op: 'transact', request })).revision;
}

/** Passes on what two sides say, but of the first connection only so many bytes of the answers: then it breaks. */
async function relay(
  to: string,
  bytes: number,
): Promise<{ address: string; broken: () => boolean } & AsyncDisposable> {
  const [host, port] = to.split(':');
  const sockets = new Set<Socket>();
  let connections = 0;
  let broken = false;
  const server: Server = createServer((near) => {
    const far = connect(Number(port), host);
    let left = connections++ === 0 ? bytes : Number.POSITIVE_INFINITY;
    for (const it of [near, far]) {
      sockets.add(it);
      it.on('error', () => {});
      it.on('close', () => {
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far);
    far.on('data', (chunk) => {
      const passed = chunk.subarray(0, left);
      left -= passed.length;
      if (passed.length === chunk.length) near.write(passed);
      else {
        broken = true;
        near.end(passed);
        far.destroy();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(server.address() as { port: number }).port}`,
    broken: () => broken,
    async [Symbol.asyncDispose]() {
      for (const it of sockets) it.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe('a watch that breaks between two changes of one revision', () => {
  test('has each of them once when it goes on', async () => {
    await using store = await startStore();
    const revision = await writeTogether(store);
    await store.service.put('end', Buffer.from('x'));
    const seenAfter = async (bytes: number) => {
      await using cut = await relay(store.grpc, bytes);
      const client = new KvClient([cut.address]);
      const watched = client.watch$('', revision);
      const seen = await lastValueFrom(
        watched.pipe(
          takeWhile(({ key }) => key !== 'end'),
          toArray(),
        ),
      );
      client.close();
      return { keys: seen.map(({ key }) => key), isBroken: cut.broken() };
    };
    const cuts = Array.from({ length: 24 }, (_, i) => 150 + i * 60);
    const outcomes = await Promise.all(cuts.map(seenAfter));
    for (const { keys } of outcomes) expect(keys).toEqual(KEYS);
    expect(outcomes.filter(({ isBroken }) => isBroken).length).toBeGreaterThan(10);
  });

  test('gets all of that revision again from the id of any event but the last', async () => {
    await using store = await startStore();
    const revision = await writeTogether(store);
    const eventsFrom = async (headers: Record<string, string>): Promise<[string, string][]> => {
      const ended = new AbortController();
      const { signal } = ended;
      const reply = await fetch(`${store.http}/watch?from=${revision}`, { headers, signal });
      let text = '';
      for await (const chunk of reply.body!) {
        text += Buffer.from(chunk as Uint8Array).toString();
        if (text.includes('"end"')) break;
      }
      const found = text.matchAll(/^id: (.+)\ndata: \{"key":"([^"]+)"/gm);
      return [...found].map(([, id, key]) => [id!, key!]);
    };
    await store.service.put('end', Buffer.from('x'));
    const all = await eventsFrom({});
    expect(all.map(([, key]) => key)).toEqual([...KEYS, 'end']);
    for (const [i, [id]] of all.slice(0, KEYS.length).entries()) {
      const rest = await eventsFrom({ 'last-event-id': id });
      const wanted = i < KEYS.length - 1 ? [...KEYS, 'end'] : ['end'];
      expect(rest.map(([, key]) => key)).toEqual(wanted);
    }
  });
});
