import type { Channel, Network, Server } from '../base/index.ts';
import { GrpcNetwork, realClock } from '../runtime/index.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import type { Message } from './core/index.ts';
import { Heartbeats } from './heartbeats.ts';

const GROUPS = Array.from({ length: 40 }, (_, i) => `group-${i}`);

const network = new GrpcNetwork();
let sender: Heartbeats;
let receiver: Heartbeats;
let server: Server;
/** Who got a heartbeat, and of which identity. */
let taken: string[];

beforeEach(async () => {
  sender = new Heartbeats(realClock(), network);
  receiver = new Heartbeats(realClock(), network);
  server = await network.serve('127.0.0.1:0', [receiver.handler]);
  taken = [];
  for (const group of GROUPS)
    receiver.join(group, 2, (_, identity) => taken.push(`${group} ${identity}`));
});
afterEach(async () => {
  sender.close();
  receiver.close();
  await server.close();
});

function post(groupId: string, to = 2, address = server.address): void {
  const beat: Message = { type: 'heartbeat', from: 1, to, term: 3, commit: 0, round: 0 };
  sender.post({ groupId, identity: 'x', from: 1 }, address, beat);
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

test('the heartbeats of one turn are one message, however many groups there are', async () => {
  for (const group of GROUPS) post(group);
  await until(() => taken.length === GROUPS.length);
  expect(taken).toEqual(GROUPS.map((it) => `${it} x`));
  expect(sender.sent).toBe(1);
  post(GROUPS[0]!);
  await until(() => taken.length > GROUPS.length);
  expect(sender.sent).toBe(2);
});

test('what is for nobody here is passed over, and the rest arrives', async () => {
  const leave = receiver.join('left', 2, () => taken.push('left'));
  leave();
  post('left');
  post('never-joined');
  post('group-0', 3);
  post('group-1');
  await until(() => taken.length > 0);
  expect(taken).toEqual(['group-1 x']);
});

test('a process that was away fails nobody, and gets those that follow once it is back', async () => {
  post('group-0');
  await until(() => taken.length === 1);
  const { address } = server;
  await server.close();
  post('group-1');
  server = await network.serve(address, [receiver.handler]);
  await until(() => {
    post('group-2');
    return taken.includes('group-2 x');
  });
});

test('an address that nothing goes to any more keeps no connection', async () => {
  const connected = new Set<string>();
  const counted: Network = {
    serve: (address, handlers) => network.serve(address, handlers),
    connect: (address) => {
      const channel: Channel = network.connect(address);
      connected.add(address);
      const close = channel.close.bind(channel);
      channel.close = () => {
        connected.delete(address);
        close();
      };
      return channel;
    },
  };
  const clock = new ManualClock();
  sender = new Heartbeats(clock, counted);
  const before = await network.serve('127.0.0.1:0', [receiver.handler]);
  try {
    post('group-0', 2, before.address);
    post('group-1');
    await until(() => taken.length === 2);
    for (let i = 0; i < 130; i++) {
      await clock.advance(1_000);
      post('group-1');
    }
    await until(() => taken.length > 2);
    expect([...connected]).toEqual([server.address]);
    // Somebody is there again.
    post('group-2', 2, before.address);
    await until(() => taken.includes('group-2 x'));
  } finally {
    sender.close();
    await before.close();
  }
  expect([...connected]).toEqual([]);
});
