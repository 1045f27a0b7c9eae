import assert from 'node:assert/strict';
import { handler, sleep, VarlogError } from '../../base/index.ts';
import { containing } from './contract.ts';
import {
  ask,
  collect,
  echo,
  forever,
  gate,
  list,
  other,
  type Scenario,
  talk,
} from './network-stage.ts';

export function addressTests(scenario: Scenario): void {
  scenario('an address that is taken is ADDRESS_IN_USE', async (stage) => {
    const { address } = await stage.server(stage.subject.address, []);
    await assert.rejects(stage.subject.serverSide.serve(address, []), {
      code: 'ADDRESS_IN_USE',
      message: containing(address),
    });
  });

  scenario('something that is no address is INVALID_ARGUMENT', async (stage) => {
    for (const bad of ['nonsense', '127.0.0.1:', '127.0.0.1:port', '127.0.0.1:70000', '']) {
      await assert.rejects(stage.subject.serverSide.serve(bad, []), {
        code: 'INVALID_ARGUMENT',
      });
    }
  });

  scenario(
    'the address can be used again after close, which may be called twice',
    async (stage) => {
      const server = await stage.server(stage.subject.address, []);
      await server.close();
      await server.close();
      const again = await stage.server(server.address, [handler(ask, async (it) => it)]);
      assert.equal(await stage.connect(again.address).call(ask, 'x'), 'x');
    },
  );
}

export function unaryTests(scenario: Scenario): void {
  scenario('a call brings the answer of its handler', async (stage) => {
    const channel = await stage.serve(
      handler(ask, async (it) => `${it}!`),
      handler(other, async (it) => `${it}?`),
    );
    assert.equal(await channel.call(ask, 'a'), 'a!');
    assert.equal(await channel.call(other, 'b'), 'b?');
    const many = Array.from({ length: 50 }, (_, i) => channel.call(ask, `${i}`));
    assert.deepEqual(
      await Promise.all(many),
      many.map((_, i) => `${i}!`),
    );
  });

  scenario('each kind of call says for which cluster it is meant, as of then', async (stage) => {
    const heard: (string | undefined)[] = [];
    const server = await stage.server(stage.subject.address, [
      handler(ask, async (it, { cluster }) => {
        heard.push(cluster);
        return it;
      }),
      handler(list, async (_, stream, { cluster }) => {
        heard.push(cluster);
        stream.send('x');
      }),
      handler(talk, async (stream, { cluster }) => {
        heard.push(cluster);
        stream.receive(() => {});
      }),
    ]);
    let cluster: string | undefined;
    const channel = stage.connect(server.address, { cluster: () => cluster });
    await channel.call(ask, 'x');
    cluster = 'c1';
    await channel.call(ask, 'x');
    await collect(channel.subscribe(list, 'x'));
    cluster = 'c2';
    const stream = channel.open(talk);
    stream.receive(() => {});
    stream.end();
    await stream.closed;
    assert.deepEqual(heard, [undefined, 'c1', 'c1', 'c2']);
  });

  scenario('an error of the handler arrives as it was thrown', async (stage) => {
    const thrown = new VarlogError('SEALED', {
      what: 'log stream 3 is sealed – 世界\n100 %',
      next: 'append to another one',
      outcome: 'notAppended',
      details: { logStreamId: 3, nested: { list: [1, 'é'] } },
    });
    const channel = await stage.serve(
      handler(ask, async () => {
        throw thrown;
      }),
    );
    const caught = await channel.call(ask, '').catch((error: unknown) => error);
    assert.equal(VarlogError.is(caught, 'SEALED'), true);
    const { code, message, outcome, details, retryable } = caught as VarlogError;
    assert.deepEqual(
      { code, message, outcome, details, retryable },
      {
        code: 'SEALED',
        message: thrown.message,
        outcome: 'notAppended',
        details: thrown.details,
        retryable: true,
      },
    );
  });

  scenario(
    'any other error of a handler is INTERNAL, with its message but no stack',
    async (stage) => {
      const channel = await stage.serve(
        handler(ask, (): Promise<string> => {
          throw new TypeError('a bug here');
        }),
      );
      const caught = (await channel.call(ask, '').catch((error) => error)) as VarlogError;
      assert.equal(caught.code, 'INTERNAL');
      assert.match(caught.message, containing('a bug here'));
      assert.doesNotMatch(caught.message, containing('.ts:'));
    },
  );

  scenario('bytes that are no message are refused with the error of the codec', async (stage) => {
    const channel = await stage.serve(handler(ask, async () => 'undecodable'));
    const refused = { code: 'INVALID_ARGUMENT', message: containing('no message') };
    await assert.rejects(channel.call(ask, 'undecodable'), refused);
    await assert.rejects(channel.call(ask, ''), refused);
  });

  scenario('a method that is not served is UNIMPLEMENTED', async (stage) => {
    const channel = await stage.serve(echo);
    for (const method of [ask, other]) {
      await assert.rejects(channel.call(method, ''), { code: 'UNIMPLEMENTED' });
    }
    const stream = channel.subscribe(list, '');
    await assert.rejects(collect(stream), { code: 'UNIMPLEMENTED' });
  });

  scenario('a limit on time ends the call with TIMEOUT, and its handler is told', async (stage) => {
    const aborted = gate();
    const channel = await stage.serve(
      handler(ask, (_, { signal }) => {
        signal.addEventListener('abort', () => aborted.open());
        return forever();
      }),
    );
    await channel.call(other, '').catch(() => {});
    await assert.rejects(channel.call(ask, '', { timeoutMs: 50 }), {
      code: 'TIMEOUT',
    });
    await aborted.promise;
  });

  scenario('a limit on time may be longer than any timer', async (stage) => {
    const channel = await stage.serve(handler(ask, async (it) => it));
    for (const timeoutMs of [2 ** 31 - 1, 2 ** 31, 1e13, Number.MAX_SAFE_INTEGER, Infinity]) {
      assert.equal(await channel.call(ask, 'x', { timeoutMs }), 'x');
    }
  });

  scenario('a signal ends the call with its reason, and its handler is told', async (stage) => {
    const called = gate();
    const aborted = gate();
    const channel = await stage.serve(
      handler(ask, (_, { signal }) => {
        signal.addEventListener('abort', () => aborted.open());
        called.open();
        return forever();
      }),
    );
    const controller = new AbortController();
    const reason = new Error('changed my mind');
    const call = channel.call(ask, '', { signal: controller.signal });
    void called.promise.then(() => controller.abort(reason));
    await assert.rejects(call, (it) => it === reason);
    await aborted.promise;
    await assert.rejects(
      channel.call(ask, '', { signal: controller.signal }),
      (it) => it === reason,
    );
  });
}

export function reconnectTests(scenario: Scenario): void {
  scenario(
    'where nothing listens is UNREACHABLE, and the message names the address',
    async (stage) => {
      const channel = stage.connect(stage.subject.deadAddress);
      const unreachable = {
        code: 'UNREACHABLE',
        message: containing(stage.subject.deadAddress),
      };
      for (let i = 0; i < 3; i++) {
        await assert.rejects(channel.call(ask, ''), unreachable);
      }
      await assert.rejects(collect(channel.subscribe(list, '')), unreachable);
      await assert.rejects(channel.open(talk).closed, unreachable);
    },
  );

  scenario('a call that is under way when the server ends is UNAVAILABLE', async (stage) => {
    const called = gate();
    const server = await stage.server(stage.subject.address, [
      handler(ask, () => {
        called.open();
        return forever();
      }),
    ]);
    const call = stage.connect(server.address).call(ask, '');
    void called.promise.then(() => server.close());
    await assert.rejects(call, { code: 'UNAVAILABLE' });
  });

  scenario('a channel finds a server that comes back, without being told', async (stage) => {
    const answer = handler(ask, async (it) => it);
    const first = await stage.server(stage.subject.address, [answer]);
    const channel = stage.connect(first.address);
    assert.equal(await channel.call(ask, '1'), '1');
    await first.close();
    for (let i = 0; i < 5; i++) {
      await assert.rejects(channel.call(ask, ''), {
        code: /UNREACHABLE|UNAVAILABLE/,
      });
      await sleep(stage.subject.clock, 20);
    }
    await stage.server(first.address, [answer]);
    assert.equal(await channel.call(ask, '2'), '2');
  });

  scenario('closing a channel ends its calls and streams, not those of another', async (stage) => {
    const called = gate();
    const server = await stage.server(stage.subject.address, [
      echo,
      handler(ask, (message) => {
        if (message === 'answer') return Promise.resolve('ok');
        called.open();
        return forever();
      }),
    ]);
    const channel = stage.connect(server.address);
    const neighbour = stage.connect(server.address);
    const stream = channel.open(talk);
    stream.receive(() => {});
    const call = channel.call(ask, 'wait');
    void called.promise.then(() => channel.close());
    await assert.rejects(call, { code: 'CLOSED' });
    await assert.rejects(stream.closed, { code: 'CLOSED' });
    await assert.rejects(channel.call(ask, 'answer'), { code: 'CLOSED' });
    await assert.rejects(channel.open(talk).closed, { code: 'CLOSED' });
    assert.equal(await neighbour.call(ask, 'answer'), 'ok');
  });
}
