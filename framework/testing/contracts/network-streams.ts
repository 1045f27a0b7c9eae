import assert from 'node:assert/strict';
import { handler, sleep, VarlogError } from '../../base/index.ts';
import { collect, echo, gate, list, type Scenario, talk } from './network-stage.ts';

export function serverStreamTests(scenario: Scenario): void {
  scenario('a subscription brings every message in order and then ends', async (stage) => {
    const channel = await stage.serve(
      handler(list, async (count, stream) => {
        for (let i = 0; i < Number(count); i++) {
          if (!stream.send(`${i}`)) await stream.writable();
        }
      }),
    );
    const got = await collect(channel.subscribe(list, '500'));
    assert.deepEqual(
      got,
      Array.from({ length: 500 }, (_, i) => `${i}`),
    );
    assert.deepEqual(await collect(channel.subscribe(list, '0')), []);
  });

  scenario('a subscription breaks with the error of its handler', async (stage) => {
    const channel = await stage.serve(
      handler(list, async (_, stream) => {
        stream.send('first');
        throw new VarlogError('TRIMMED', { what: 'gone', details: { firstAvailable: 7 } });
      }),
    );
    await assert.rejects(collect(channel.subscribe(list, '')), {
      code: 'TRIMMED',
      details: { firstAvailable: 7 },
    });
  });

  scenario('whoever still uses the stream of a handler that failed is told', async (stage) => {
    const ends = [gate<unknown>(), gate<unknown>()] as const;
    const tell =
      (end: { open(error: unknown): void }) =>
      (error: unknown): void =>
        end.open(error);
    const channel = await stage.serve(
      handler(list, async (_, stream) => {
        while (stream.send('x'.repeat(100_000)));
        stream.writable().catch(tell(ends[0]));
        stream.closed.catch(tell(ends[1]));
        throw new VarlogError('UNAVAILABLE', { what: 'no more' });
      }),
    );
    const stream = channel.subscribe(list, '');
    stream.receive(() => new Promise(() => {}));
    for (const end of ends) {
      assert.equal(VarlogError.is(await end.promise, 'UNAVAILABLE'), true);
    }
    stream.cancel();
  });

  scenario('a handler learns that its subscriber has left', async (stage) => {
    const left = gate<unknown>();
    const aborted = gate();
    const channel = await stage.serve(
      handler(list, async (_, stream, { signal }) => {
        signal.addEventListener('abort', () => aborted.open());
        stream.closed.catch((error: unknown) => left.open(error));
        stream.send('first');
        await aborted.promise;
      }),
    );
    const stream = channel.subscribe(list, '');
    stream.receive(() => stream.cancel());
    await assert.rejects(stream.closed, { code: 'CANCELLED' });
    assert.equal(VarlogError.is(await left.promise, 'CANCELLED'), true);
    await aborted.promise;
  });

  scenario(
    'a subscriber that is behind slows its sender down, and loses nothing',
    async (stage) => {
      const refused = gate<number>();
      const bulk = 'x'.repeat(100_000);
      const count = 200;
      const channel = await stage.serve(
        handler(list, async (_, stream) => {
          for (let i = 0; i < count; i++) {
            if (stream.send(`${i} ${bulk}`)) continue;
            refused.open(i);
            await stream.writable();
          }
          refused.open(count);
        }),
      );
      const got: number[] = [];
      const stream = channel.subscribe(list, '');
      stream.receive(async (message) => {
        got.push(Number(message.split(' ')[0]));
        if (got.length === 1) assert.ok((await refused.promise) < count - 1, 'no send was refused');
      });
      await stream.closed;
      assert.deepEqual(
        got,
        Array.from({ length: count }, (_, i) => i),
      );
    },
  );
}

export function bidiTests(scenario: Scenario): void {
  scenario(
    'messages go both ways, in order, each once, until both ends have ended',
    async (stage) => {
      const channel = await stage.serve(echo);
      const stream = channel.open(talk);
      const got: string[] = [];
      stream.receive((message) => {
        got.push(message);
      });
      const count = 1000;
      for (let i = 0; i < count; i++) {
        if (!stream.send(`${i}`)) await stream.writable();
      }
      stream.end();
      await stream.closed;
      assert.deepEqual(
        got,
        Array.from({ length: count }, (_, i) => `${i}`),
      );
    },
  );

  scenario('a message is sent without waiting for more, or for the end', async (stage) => {
    const channel = await stage.serve(echo);
    const stream = channel.open(talk);
    const answered = gate<string>();
    stream.receive((message) => answered.open(message));
    stream.send('alone');
    assert.equal(await answered.promise, 'alone');
    stream.cancel();
  });

  scenario('a message is held back while the last one is being handled', async (stage) => {
    const channel = await stage.serve(echo);
    const stream = channel.open(talk);
    let running = 0;
    const got: string[] = [];
    stream.receive(async (message) => {
      running++;
      await Promise.resolve();
      if (got.length % 10 === 0) await sleep(stage.subject.clock, 1);
      assert.equal(running, 1);
      got.push(message);
      running--;
    });
    for (let i = 0; i < 100; i++) stream.send(`${i}`);
    stream.end();
    await stream.closed;
    assert.deepEqual(
      got,
      Array.from({ length: 100 }, (_, i) => `${i}`),
    );
  });

  scenario('closed waits for a handler that is still at work', async (stage) => {
    const channel = await stage.serve(echo);
    const stream = channel.open(talk);
    let handled = 0;
    stream.receive(async () => {
      await sleep(stage.subject.clock, 5);
      handled++;
    });
    for (let i = 0; i < 3; i++) stream.send(`${i}`);
    stream.end();
    await stream.closed;
    assert.equal(handled, 3);
  });

  scenario('there is room at once where nothing was sent', async (stage) => {
    const channel = await stage.serve(echo);
    const stream = channel.open(talk);
    stream.receive(() => {});
    await stream.writable();
    stream.cancel();
  });

  scenario('the server may go on after the client has ended', async (stage) => {
    const channel = await stage.serve(
      handler(talk, async (stream) => {
        stream.receive(() => {});
        await stream.closed;
        stream.send('after');
      }),
    );
    const stream = channel.open(talk);
    const got: string[] = [];
    stream.receive((message) => {
      got.push(message);
    });
    stream.end();
    await stream.closed;
    assert.deepEqual(got, ['after']);
  });
}
