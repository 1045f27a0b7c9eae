import {
  type Codec,
  handler,
  type Network,
  type ServerStreamMethod,
  type UnaryMethod,
} from '../base/index.ts';
import { World } from '../testing/index.ts';
import { ChannelPool, IDLE_CHANNELS_MAX } from './channel-pool.ts';

const text: Codec<string> = {
  encode: (it) => new TextEncoder().encode(it),
  decode: (it) => new TextDecoder().decode(it),
};
const shape = { request: text, response: text };
const ask: UnaryMethod<string, string> = { kind: 'unary', path: '/test.Test/Ask', ...shape };
const watch: ServerStreamMethod<string, string> = {
  kind: 'serverStream',
  path: '/test.Test/Watch',
  ...shape,
};

let world: World;
let open: string[];
let pool: ChannelPool;

/** A network that tells which channels are open. */
function counted(network: Network): Network {
  return {
    serve: (...given) => network.serve(...given),
    connect: (address, options) => {
      const channel = network.connect(address, options);
      open.push(address);
      const close = channel.close.bind(channel);
      channel.close = () => {
        open.splice(open.indexOf(address), 1);
        close();
      };
      return channel;
    },
  };
}

/** What a stream sends next. */
let send: (message: string) => void = () => {};

beforeEach(() => {
  world = new World(1);
  world.node('here', ({ network }) =>
    network.serve('here:1', [
      handler(ask, async (it) => it),
      handler(watch, async (_, stream) => {
        send = (it) => void stream.send(it);
        await stream.closed;
      }),
    ]),
  );
  open = [];
  pool = new ChannelPool(counted(world.ports('client').network), () => undefined);
});
afterEach(() => {
  pool.close();
  world.close();
});

/** Asks addresses at which nobody is any more. */
async function askOthers(count: number): Promise<void> {
  for (let i = 0; i < count; i++)
    await expect(pool.to(`gone-${i}:1`).call(ask, 'x')).rejects.toMatchObject({
      code: 'UNREACHABLE',
    });
}

test('channels to many addresses that are gone are closed again, the oldest first', async () => {
  await world.started();
  await world.play(async () => {
    expect(await pool.to('here:1').call(ask, 'x')).toBe('x');
    expect(await pool.to('here:1').call(ask, 'y')).toBe('y');
    expect(open).toEqual(['here:1']);
    await askOthers(3 * IDLE_CHANNELS_MAX);
  });
  expect(open.length).toBeLessThanOrEqual(IDLE_CHANNELS_MAX + 1);
  expect(open).not.toContain('here:1');
  expect(open).toContain(`gone-${3 * IDLE_CHANNELS_MAX - 1}:1`);
  expect(await world.play(() => pool.to('here:1').call(ask, 'x'))).toBe('x');
  pool.close();
  expect(open).toEqual([]);
});

test('one over which something is under way stays open, and so does one that is used again and again', async () => {
  await world.started();
  const got: string[] = [];
  const streams = await world.play(async () => {
    const stream = pool.to('here:1').subscribe(watch, 'x');
    stream.receive((it) => void got.push(it));
    for (let i = 0; i < 6; i++) {
      await pool.to('here:1', 1).call(ask, 'x');
      for (let j = 0; j < IDLE_CHANNELS_MAX - 1; j++) pool.to(`gone-${i}-${j}:1`);
    }
    return [stream];
  });
  // One for the stream, and one for all calls.
  expect(open.filter((it) => it === 'here:1')).toHaveLength(2);
  send('still there');
  await world.until(() => got.length > 0);
  // Once it is over, the channel is as idle as any other.
  for (const it of streams) it.cancel();
  await world.run(1_000);
  for (let j = 0; j < 2 * IDLE_CHANNELS_MAX; j++) pool.to(`last-${j}:1`);
  expect(open).not.toContain('here:1');
});
