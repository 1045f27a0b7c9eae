import assert from 'node:assert/strict';
import {
  type CallContext,
  type Handler,
  handler,
  type MessageStream,
  sleep,
  VarlogError,
} from '../../base/index.ts';
import { echo, forever, gate, type Scenario, talk } from './network-stage.ts';

export function breakTests(scenario: Scenario): void {
  /** A server that hands over its end of the stream. */
  const accept = (
    receiver: (message: string) => void | Promise<void> = () => {},
  ): {
    served: Handler;
    accepted: Promise<{ stream: MessageStream<string, string>; context: CallContext }>;
  } => {
    const opened = gate<{ stream: MessageStream<string, string>; context: CallContext }>();
    const served = handler(talk, async (stream, context) => {
      stream.receive(receiver);
      opened.open({ stream, context });
      await stream.closed.catch(() => {});
      await forever();
    });
    return { served, accepted: opened.promise };
  };

  scenario('cancelling at the client ends both ends with CANCELLED', async (stage) => {
    const { served, accepted } = accept();
    const stream = (await stage.serve(served)).open(talk);
    stream.receive(() => {});
    const server = await accepted;
    stream.cancel();
    stream.cancel();
    await assert.rejects(stream.closed, { code: 'CANCELLED' });
    await assert.rejects(server.stream.closed, { code: 'CANCELLED' });
    if (!server.context.signal.aborted) {
      await new Promise((resolve) => server.context.signal.addEventListener('abort', resolve));
    }
  });

  scenario('cancelling at the server ends both ends with CANCELLED', async (stage) => {
    const { served, accepted } = accept();
    const stream = (await stage.serve(served)).open(talk);
    stream.receive(() => {});
    const server = await accepted;
    server.stream.cancel();
    await assert.rejects(server.stream.closed, { code: 'CANCELLED' });
    await assert.rejects(stream.closed, { code: 'CANCELLED' });
  });

  scenario('after a break nothing is delivered, and sending is quietly refused', async (stage) => {
    const channel = await stage.serve(echo);
    const stream = channel.open(talk);
    let got = 0;
    stream.receive(() => {
      got++;
      stream.cancel();
    });
    for (let i = 0; i < 10; i++) stream.send('x');
    await assert.rejects(stream.closed, { code: 'CANCELLED' });
    await sleep(stage.subject.clock, 20);
    assert.equal(got, 1);
    assert.equal(stream.send('y'), false);
    await assert.rejects(stream.writable(), { code: 'CANCELLED' });
    stream.end();
  });

  scenario('messages that wait behind a slow receiver are gone after a break', async (stage) => {
    const channel = await stage.serve(echo);
    const stream = channel.open(talk);
    const first = gate();
    const release = gate();
    let got = 0;
    stream.receive(() => {
      got++;
      first.open();
      return release.promise;
    });
    for (let i = 0; i < 10; i++) stream.send('x');
    await first.promise;
    await sleep(stage.subject.clock, 20);
    stream.cancel();
    release.open();
    await sleep(stage.subject.clock, 20);
    assert.equal(got, 1);
  });

  scenario('a server learns that a channel with its streams was closed', async (stage) => {
    const { served, accepted } = accept();
    const channel = await stage.serve(served);
    channel.open(talk).receive(() => {});
    const server = await accepted;
    channel.close();
    await assert.rejects(server.stream.closed, { code: 'CANCELLED' });
    assert.equal(server.context.signal.aborted, true);
  });

  scenario('one who waits for room learns that the stream broke', async (stage) => {
    const { served, accepted } = accept(forever);
    const channel = await stage.serve(served);
    const stream = channel.open(talk);
    stream.receive(() => {});
    await accepted;
    while (stream.send('x'.repeat(100_000))) await sleep(stage.subject.clock, 1);
    const room = stream.writable();
    stream.cancel();
    await assert.rejects(room, { code: 'CANCELLED' });
  });

  scenario('when the server ends, streams break with UNAVAILABLE', async (stage) => {
    const { served, accepted } = accept();
    const server = await stage.server(stage.subject.address, [served]);
    const stream = stage.connect(server.address).open(talk);
    stream.receive(() => {});
    await accepted;
    await server.close();
    await assert.rejects(stream.closed, { code: 'UNAVAILABLE' });
  });

  scenario(
    'a limit on time breaks a stream with TIMEOUT, a signal with its reason',
    async (stage) => {
      const { served } = accept();
      const channel = await stage.serve(served);
      const limited = channel.open(talk, { timeoutMs: 30 });
      limited.receive(() => {});
      await assert.rejects(limited.closed, { code: 'TIMEOUT' });
      const controller = new AbortController();
      const signalled = channel.open(talk, { signal: controller.signal });
      signalled.receive(() => {});
      const reason = new Error('enough');
      controller.abort(reason);
      await assert.rejects(signalled.closed, (it) => it === reason);
      await assert.rejects(
        channel.open(talk, { signal: controller.signal }).closed,
        (it) => it === reason,
      );
    },
  );

  scenario(
    'an error thrown by a receiver breaks its stream, and a server says it',
    async (stage) => {
      const sealed = new VarlogError('SEALED', { what: 'no more' });
      const channel = await stage.serve(
        handler(talk, (stream) => {
          stream.receive((message) => {
            if (message === 'sync') throw sealed;
            return Promise.reject(sealed);
          });
          return stream.closed;
        }),
      );
      for (const how of ['sync', 'async']) {
        const stream = channel.open(talk);
        stream.receive(() => {});
        stream.send(how);
        await assert.rejects(stream.closed, { code: 'SEALED' });
      }
    },
  );

  scenario('a bidi handler that fails at once breaks the stream with its error', async (stage) => {
    const channel = await stage.serve(
      handler(talk, async () => {
        throw new VarlogError('NOT_LEADER', { what: 'follower', details: { leader: 'b:1' } });
      }),
    );
    const stream = channel.open(talk);
    stream.receive(() => {});
    stream.send('hello');
    await assert.rejects(stream.closed, {
      code: 'NOT_LEADER',
      details: { leader: 'b:1' },
    });
  });

  scenario('bytes that are no message break the stream', async (stage) => {
    const channel = await stage.serve(echo);
    const stream = channel.open(talk);
    stream.receive(() => {});
    stream.send('undecodable');
    await assert.rejects(stream.closed, { code: 'INVALID_ARGUMENT' });
  });
}
