import { concatMap, firstValueFrom, groupBy, map, mergeMap, of, share, take, toArray } from 'rxjs';
import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { FakeCluster } from './fake-cluster.fixture.ts';
import { type Entry, handle, type Topic, Varlog } from './index.ts';

const ports = { clock: realClock(), random: realRandom, network: new GrpcNetwork() };
const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start(
  records: number,
): Promise<{ cluster: FakeCluster; topic: Topic; varlog: Varlog }> {
  const cluster = await FakeCluster.start(ports.network, [[1], [2]]);
  closers.push(() => cluster.close());
  for (let i = 0; i < records; ) {
    const size = Math.min(records - i, 1 + (i % 5));
    const texts = Array.from({ length: size }, () => `${++i}`);
    cluster.commit(1 + (i % 2), texts);
  }
  const varlog = await Varlog.connect({ ports, endpoints: cluster.endpoint });
  closers.push(() => varlog.close());
  return { cluster, topic: varlog.topic(1), varlog };
}

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

/** Work that ends when told to. */
class Gate {
  begun = 0;
  ended = 0;
  mostAtOnce = 0;
  readonly order: number[] = [];
  private waiting: (() => void)[] = [];

  async work(value: number): Promise<number> {
    this.begun++;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.begun - this.ended);
    this.order.push(value);
    await new Promise<void>((resolve) => this.waiting.push(resolve));
    this.ended++;
    return value;
  }

  release(count = Infinity): void {
    for (const resolve of this.waiting.splice(0, count)) resolve();
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

describe('a topic as an Observable', () => {
  test('read$ completes, each subscribe is a pass of its own, and nothing begins before', async () => {
    const { cluster, topic } = await start(40);
    const read$ = topic.read$();
    await turns(20);
    expect(cluster.readsEver).toBe(0);
    await expect(read$.caughtUp()).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    for (let pass = 0; pass < 2; pass++) {
      const glsns = await firstValueFrom(
        read$.pipe(
          map((it) => it.glsn as number),
          toArray(),
        ),
      );
      expect(glsns).toEqual(upTo(40));
    }
    const pulled: number[] = [];
    for await (const it of read$) pulled.push(it.glsn);
    expect(pulled).toEqual(upTo(40));
  });

  test('tail$ follows until it is unsubscribed, and tells its status', async () => {
    const { cluster, topic } = await start(10);
    const tail$ = topic.tail$({ from: 'start' });
    const states: string[] = [];
    tail$.status$.subscribe((it) => states.push(it.state));
    const seen: number[] = [];
    const subscription = tail$.subscribe((it) => seen.push(it.glsn));
    await tail$.caughtUp();
    expect(seen).toEqual(upTo(10));
    cluster.commit(1, ['11', '12']);
    await tail$.caughtUp();
    expect(seen).toEqual(upTo(12));
    await until(() => states.includes('live'));
    subscription.unsubscribe();
    await until(() => cluster.readsOpen === 0);
    expect(states.at(-1)).toBe('closed');
  });

  test('take() ends it', async () => {
    const { cluster, topic } = await start(10);
    const found = await firstValueFrom(topic.tail$({ from: 3 }).pipe(take(4), toArray()));
    expect(found.map((it) => it.text())).toEqual(['3', '4', '5', '6']);
    await until(() => cluster.readsOpen === 0);
  });

  test('closing the client completes it, and what was delivered is the last', async () => {
    const { topic, varlog } = await start(10);
    const tail$ = topic.tail$({ from: 'start' });
    const states: string[] = [];
    tail$.status$.subscribe((it) => states.push(it.state));
    const seen: number[] = [];
    // Without a handler for errors: one would end the process.
    await new Promise<void>((resolve) => {
      tail$
        .pipe(
          handle(async (entry) => {
            seen.push(entry.glsn);
            if (entry.glsn === 10) await varlog.close();
          }),
        )
        .subscribe({ complete: resolve });
    });
    expect(seen).toEqual(upTo(10));
    await until(() => states.at(-1) === 'closed');
  });

  test('closing the client while it delivers stops that', async () => {
    const { topic, varlog } = await start(10);
    const seen: number[] = [];
    await new Promise<void>((resolve) => {
      topic.tail$({ from: 'start' }).subscribe({
        next: (entry) => {
          seen.push(entry.glsn);
          if (entry.glsn === 3) void varlog.close();
        },
        complete: resolve,
      });
    });
    expect(seen).toEqual([1, 2, 3]);
  });

  test('errors arrive as errors', async () => {
    const { cluster, topic } = await start(10);
    cluster.trimmed = 5;
    await expect(firstValueFrom(topic.tail$({ from: 2 }))).rejects.toMatchObject({
      code: 'TRIMMED',
    });
  });
});

describe('handle', () => {
  test('keeps what is in flight within the window, and no record is lost or out of order', async () => {
    const { topic } = await start(500);
    const gate = new Gate();
    let delivered = 0;
    const results: number[] = [];
    const done = new Promise<void>((resolve) => {
      topic
        .read$({ maxInFlight: 16 })
        .pipe(
          map((it) => {
            delivered++;
            return it.glsn as number;
          }),
          handle((it) => gate.work(it), { concurrency: 4 }),
        )
        .subscribe({ next: (it) => results.push(it), complete: resolve });
    });
    await until(() => gate.begun === 4);
    await turns(50);
    expect(delivered).toBe(16);
    while (results.length < 500) {
      gate.release(1 + (results.length % 3));
      await turns(2);
      expect(delivered - results.length).toBeLessThanOrEqual(16);
    }
    await done;
    expect(results).toEqual(upTo(500));
    expect(gate.mostAtOnce).toBe(4);
  });

  test('a handler that stands still stops the reading; concatMap does not', async () => {
    const { cluster, topic } = await start(0);
    const record = new Uint8Array(32 * 1024 + 4);
    new DataView(record.buffer).setUint32(0, 32 * 1024, true);
    for (let i = 0; i < 1_500; i++) cluster.commitBatch(1, 1, record);
    const total = 1_500 * record.length;
    const never = (): Promise<void> => new Promise(() => {});
    const options = { maxInFlightBytes: 1024 * 1024, bufferBytes: 1024 * 1024 };
    const bounded = topic.read$(options).pipe(handle(never)).subscribe();
    // While another reader comes to the end of the topic, this one could have done so too.
    for await (const _ of topic.read());
    expect(cluster.bytesSent - total).toBeLessThan(25 * 1024 * 1024);
    bounded.unsubscribe();
    cluster.bytesSent = 0;
    const unbounded = topic.read$(options).pipe(concatMap(never)).subscribe();
    await until(() => cluster.bytesSent === total);
    unbounded.unsubscribe();
    await until(() => cluster.readsOpen === 0);
  }, 20_000);

  test('caught up means handled, not delivered', async () => {
    const { topic } = await start(20);
    const gate = new Gate();
    const tail$ = topic.tail$({ from: 'start' });
    const subscription = tail$
      .pipe(handle((it) => gate.work(it.glsn), { concurrency: 100 }))
      .subscribe();
    let caughtUp = false;
    const waiting = tail$.caughtUp().then(() => {
      caughtUp = true;
    });
    await until(() => gate.begun === 20);
    gate.release(19);
    await turns(20);
    expect(caughtUp).toBe(false);
    gate.release();
    await waiting;
    subscription.unsubscribe();
  });

  test('with orderBy, equal keys wait for each other and others do not', async () => {
    const gate = new Gate();
    const results: number[] = [];
    of(1, 3, 2, 5, 4)
      .pipe(handle((it) => gate.work(it), { concurrency: 10, orderBy: (it) => it % 2 }))
      .subscribe((it) => results.push(it));
    expect(gate.order).toEqual([1, 2]);
    for (let i = 0; i < 5; i++) {
      gate.release();
      await turns(1);
    }
    expect(gate.order).toEqual([1, 2, 3, 4, 5]);
    expect(results).toEqual([1, 3, 2, 5, 4]);
  });

  test('through groupBy and share the window holds as well', async () => {
    const { topic } = await start(300);
    const gate = new Gate();
    let delivered = 0;
    const shared$ = topic.read$({ maxInFlight: 10 }).pipe(
      map((it) => {
        delivered++;
        return it;
      }),
      groupBy((it) => it.glsn % 4),
      mergeMap((group$) => group$.pipe(handle((it) => gate.work(it.glsn)))),
      share(),
    );
    let fast = 0;
    shared$.subscribe(() => fast++);
    const done = new Promise<void>((resolve) => {
      shared$.subscribe({ complete: resolve });
    });
    let ended = false;
    void done.then(() => {
      ended = true;
    });
    while (!ended) {
      expect(delivered - gate.ended).toBeLessThanOrEqual(10);
      gate.release();
      await turns(2);
    }
    expect(fast).toBe(300);
  });

  test('an error of the work ends the stream and the call, after what came before', async () => {
    const { cluster, topic } = await start(50);
    const seen: number[] = [];
    const failed = new Promise((resolve) => {
      topic
        .tail$({ from: 'start' })
        .pipe(
          handle((it) => {
            if (it.glsn === 5) throw new Error('no five');
            return it.glsn as number;
          }),
        )
        .subscribe({ next: (it) => seen.push(it), error: resolve });
    });
    expect(await failed).toMatchObject({ message: 'no five' });
    expect(seen).toEqual([1, 2, 3, 4]);
    await until(() => cluster.readsOpen === 0);
  });

  test('an error of the order ends the stream, after what came before', async () => {
    const { cluster, topic } = await start(50);
    const seen: number[] = [];
    const orderBy = ({ glsn }: Entry): unknown => {
      if (glsn === 5) throw new Error('no key');
      return glsn;
    };
    const failed = new Promise((resolve) => {
      topic
        .tail$({ from: 'start' })
        .pipe(handle(({ glsn }) => glsn as number, { orderBy }))
        .subscribe({ next: (it) => seen.push(it), error: resolve });
    });
    expect(await failed).toMatchObject({ message: 'no key' });
    expect(seen.length).toBeLessThan(5);
    await until(() => cluster.readsOpen === 0);
  });

  test('unsubscribing aborts the work', async () => {
    const signals: AbortSignal[] = [];
    const subscription = of(1, 2)
      .pipe(
        handle((_, { signal }) => {
          signals.push(signal);
          return new Promise<void>(() => {});
        }),
      )
      .subscribe();
    subscription.unsubscribe();
    expect(signals.map((it) => it.aborted)).toEqual([true]);
  });

  test('behind an operator that hides the work it errors instead of filling the memory', async () => {
    const values = Array.from({ length: 20_000 }, (_, i) => i);
    const error = await new Promise((resolve) => {
      of(...values)
        .pipe(handle(() => new Promise(() => {})))
        .subscribe({ error: resolve });
    });
    expect(error).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    expect(() => handle(() => 1, { concurrency: 0 })).toThrow(/INVALID_ARGUMENT/);
  });
});
