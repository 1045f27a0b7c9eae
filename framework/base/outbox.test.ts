import fc from 'fast-check';
import type { Clock } from './clock.ts';
import { Outbox } from './outbox.ts';

/** A clock on which a turn ends when the test says so. */
function turns(): { clock: Pick<Clock, 'defer'>; end(): void } {
  const deferred: (() => void)[] = [];
  return {
    clock: { defer: (run) => void deferred.push(run) },
    end: () => {
      for (const run of deferred.splice(0)) run();
    },
  };
}

/** A stream that is not writable after `capacity` messages, until it is given room or broken. */
class Narrow {
  readonly taken: (readonly number[])[] = [];
  private readonly capacity: number;
  private inside = 0;
  private waiting: { resolve: () => void; reject: (error: unknown) => void }[] = [];

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  send(message: readonly number[]): boolean {
    expect(this.inside).toBeLessThan(this.capacity);
    this.taken.push(message);
    return ++this.inside < this.capacity;
  }

  writable(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
    });
  }

  giveRoom(): void {
    this.inside = 0;
    for (const { resolve } of this.waiting.splice(0)) resolve();
  }

  break(): void {
    for (const { reject } of this.waiting.splice(0)) reject(new Error('broken'));
  }
}

/** An owner that keeps what cannot leave yet, as one message. */
class Owner {
  readonly outbox: Outbox<readonly number[]>;
  readonly streams: Narrow[] = [];
  flushes = 0;
  private gathered: number[] = [];
  private readonly capacity: number;

  constructor(clock: Pick<Clock, 'defer'>, capacity: number) {
    this.capacity = capacity;
    this.streams.push(new Narrow(capacity));
    this.outbox = new Outbox(clock, () => this.flush());
  }

  get stream(): Narrow {
    return this.streams.at(-1)!;
  }

  post(it: number): void {
    this.gathered.push(it);
    this.outbox.schedule();
  }

  reopen(): void {
    this.stream.break();
    this.outbox.unblock();
    this.streams.push(new Narrow(this.capacity));
    if (this.gathered.length > 0) this.outbox.schedule();
  }

  private flush(): void {
    expect(this.outbox.isBlocked).toBe(false);
    this.flushes++;
    if (this.gathered.length > 0) this.outbox.send(this.stream, this.gathered.splice(0));
  }
}

const microtasks = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await undefined;
};

const action = fc.oneof(
  { weight: 5, arbitrary: fc.constant('post' as const) },
  { weight: 3, arbitrary: fc.constant('turn' as const) },
  fc.constantFrom('room' as const, 'break' as const),
);

test('all that was posted leaves once, in order, never into a stream that is behind', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3 }),
      fc.array(action, { maxLength: 60 }),
      async (capacity, actions) => {
        const turn = turns();
        const owner = new Owner(turn.clock, capacity);
        let posted = 0;
        let chances = 0;
        for (const it of [...actions, 'turn', 'room', 'turn'] as const) {
          if (it === 'post') owner.post(posted++);
          else chances++;
          if (it === 'turn') turn.end();
          if (it === 'room') owner.stream.giveRoom();
          if (it === 'break') owner.reopen();
          await microtasks();
          // What is posted within a turn shares a message.
          expect(owner.flushes).toBeLessThanOrEqual(chances);
        }
        const sent = owner.streams.flatMap((it) => it.taken.flat());
        expect(sent).toEqual(Array.from({ length: posted }, (_, i) => i));
      },
    ),
  );
});

test('room on a stream that was given up sends nothing', async () => {
  const turn = turns();
  const owner = new Owner(turn.clock, 1);
  owner.post(1);
  turn.end();
  expect(owner.outbox.isBlocked).toBe(true);
  const old = owner.stream;
  owner.outbox.unblock();
  owner.streams.push(new Narrow(1));
  owner.post(2);
  turn.end();
  expect(owner.outbox.isBlocked).toBe(true);
  owner.post(3);
  old.giveRoom();
  await microtasks();
  expect(owner.streams.map((it) => it.taken)).toEqual([[[1]], [[2]]]);
  owner.stream.giveRoom();
  await microtasks();
  expect(owner.stream.taken).toEqual([[2], [3]]);
});
