import { handle, sleep, VarlogError } from '../../base/index.ts';
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
    await expect(stage.subject.serverSide.serve(address, [])).rejects.toMatchObject({
      code: 'ADDRESS_IN_USE',
      message: expect.stringContaining(address),
    });
  });

  scenario('something that is no address is INVALID_ARGUMENT', async (stage) => {
    for (const bad of ['nonsense', '127.0.0.1:', '127.0.0.1:port', '127.0.0.1:70000', '']) {
      await expect(stage.subject.serverSide.serve(bad, [])).rejects.toMatchObject({
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
      const again = await stage.server(server.address, [handle(ask, async (it) => it)]);
      expect(await stage.connect(again.address).call(ask, 'x')).toBe('x');
    },
  );
}

export function unaryTests(scenario: Scenario): void {
  scenario('a call brings the answer of its handler', async (stage) => {
    const channel = await stage.serve(
      handle(ask, async (it) => `${it}!`),
      handle(other, async (it) => `${it}?`),
    );
    expect(await channel.call(ask, 'a')).toBe('a!');
    expect(await channel.call(other, 'b')).toBe('b?');
    const many = Array.from({ length: 50 }, (_, i) => channel.call(ask, `${i}`));
    expect(await Promise.all(many)).toEqual(many.map((_, i) => `${i}!`));
  });

  scenario('each kind of call says for which cluster it is meant, as of then', async (stage) => {
    const heard: (string | undefined)[] = [];
    const server = await stage.server(stage.subject.address, [
      handle(ask, async (it, { cluster }) => {
        heard.push(cluster);
        return it;
      }),
      handle(list, async (_, stream, { cluster }) => {
        heard.push(cluster);
        stream.send('x');
      }),
      handle(talk, async (stream, { cluster }) => {
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
    expect(heard).toEqual([undefined, 'c1', 'c1', 'c2']);
  });

  scenario('an error of the handler arrives as it was thrown', async (stage) => {
    const thrown = new VarlogError('SEALED', {
      what: 'log stream 3 is sealed – 世界\n100 %',
      next: 'append to another one',
      outcome: 'notAppended',
      details: { logStreamId: 3, nested: { list: [1, 'é'] } },
    });
    const channel = await stage.serve(
      handle(ask, async () => {
        throw thrown;
      }),
    );
    const caught = await channel.call(ask, '').catch((error: unknown) => error);
    expect(VarlogError.is(caught, 'SEALED')).toBe(true);
    const { code, message, outcome, details, retryable } = caught as VarlogError;
    expect({ code, message, outcome, details, retryable }).toEqual({
      code: 'SEALED',
      message: thrown.message,
      outcome: 'notAppended',
      details: thrown.details,
      retryable: true,
    });
  });

  scenario(
    'any other error of a handler is INTERNAL, with its message but no stack',
    async (stage) => {
      const channel = await stage.serve(
        handle(ask, (): Promise<string> => {
          throw new TypeError('a bug here');
        }),
      );
      const caught = (await channel.call(ask, '').catch((error) => error)) as VarlogError;
      expect(caught.code).toBe('INTERNAL');
      expect(caught.message).toContain('a bug here');
      expect(caught.message).not.toContain('.ts:');
    },
  );

  scenario('bytes that are no message are refused with the error of the codec', async (stage) => {
    const channel = await stage.serve(handle(ask, async () => 'undecodable'));
    const refused = { code: 'INVALID_ARGUMENT', message: expect.stringContaining('no message') };
    await expect(channel.call(ask, 'undecodable')).rejects.toMatchObject(refused);
    await expect(channel.call(ask, '')).rejects.toMatchObject(refused);
  });

  scenario('a method that is not served is UNIMPLEMENTED', async (stage) => {
    const channel = await stage.serve(echo);
    for (const method of [ask, other]) {
      await expect(channel.call(method, '')).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
    }
    const stream = channel.subscribe(list, '');
    await expect(collect(stream)).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
  });

  scenario('a limit on time ends the call with TIMEOUT, and its handler is told', async (stage) => {
    const told = gate();
    const channel = await stage.serve(
      handle(ask, (_, { signal }) => {
        signal.addEventListener('abort', () => told.open());
        return forever();
      }),
    );
    await channel.call(other, '').catch(() => {});
    await expect(channel.call(ask, '', { timeoutMs: 50 })).rejects.toMatchObject({
      code: 'TIMEOUT',
    });
    await told.promise;
  });

  scenario('a signal ends the call with its reason, and its handler is told', async (stage) => {
    const called = gate();
    const told = gate();
    const channel = await stage.serve(
      handle(ask, (_, { signal }) => {
        signal.addEventListener('abort', () => told.open());
        called.open();
        return forever();
      }),
    );
    const controller = new AbortController();
    const reason = new Error('changed my mind');
    const call = channel.call(ask, '', { signal: controller.signal });
    void called.promise.then(() => controller.abort(reason));
    await expect(call).rejects.toBe(reason);
    await told.promise;
    await expect(channel.call(ask, '', { signal: controller.signal })).rejects.toBe(reason);
  });
}

export function reconnectTests(scenario: Scenario): void {
  scenario(
    'where nothing listens is UNREACHABLE, and the message names the address',
    async (stage) => {
      const channel = stage.connect(stage.subject.deadAddress);
      const unreachable = {
        code: 'UNREACHABLE',
        message: expect.stringContaining(stage.subject.deadAddress),
      };
      for (let i = 0; i < 3; i++) {
        await expect(channel.call(ask, '')).rejects.toMatchObject(unreachable);
      }
      await expect(collect(channel.subscribe(list, ''))).rejects.toMatchObject(unreachable);
      await expect(channel.open(talk).closed).rejects.toMatchObject(unreachable);
    },
  );

  scenario('a call that is under way when the server ends is UNAVAILABLE', async (stage) => {
    const called = gate();
    const server = await stage.server(stage.subject.address, [
      handle(ask, () => {
        called.open();
        return forever();
      }),
    ]);
    const call = stage.connect(server.address).call(ask, '');
    void called.promise.then(() => server.close());
    await expect(call).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  scenario('a channel finds a server that comes back, without being told', async (stage) => {
    const answer = handle(ask, async (it) => it);
    const first = await stage.server(stage.subject.address, [answer]);
    const channel = stage.connect(first.address);
    expect(await channel.call(ask, '1')).toBe('1');
    await first.close();
    for (let i = 0; i < 5; i++) {
      await expect(channel.call(ask, '')).rejects.toMatchObject({
        code: expect.stringMatching(/UNREACHABLE|UNAVAILABLE/),
      });
      await sleep(stage.subject.clock, 20);
    }
    await stage.server(first.address, [answer]);
    expect(await channel.call(ask, '2')).toBe('2');
  });

  scenario('closing a channel ends its calls and streams, not those of another', async (stage) => {
    const called = gate();
    const server = await stage.server(stage.subject.address, [
      echo,
      handle(ask, (message) => {
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
    await expect(call).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(stream.closed).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(channel.call(ask, 'answer')).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(channel.open(talk).closed).rejects.toMatchObject({ code: 'CLOSED' });
    expect(await neighbour.call(ask, 'answer')).toBe('ok');
  });
}
