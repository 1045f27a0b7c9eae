import fc from 'fast-check';
import type { EtcdClient, Stream } from './etcd.fixture.ts';
import type { WatchResponse } from './messages.ts';

/** A watch to be created, of which something is seen when its key is put and deleted. */
export interface AnyWatch {
  readonly key: string;
  readonly rangeEnd: string;
  readonly filters: readonly number[];
  readonly prevKv: boolean;
  readonly watchId: number;
  /** Of the revisions that there are when it is created. */
  readonly startRevision: number;
}

export const anyWatch: fc.Arbitrary<AnyWatch> = fc.record({
  key: fc.constantFrom('', 'a', 'ab', 'b', '\0'),
  rangeEnd: fc.constantFrom('', '', '\0', 'a', 'b', 'c', '\xff'),
  filters: fc.constantFrom([], [], [0], [1]),
  prevKv: fc.boolean(),
  watchId: fc.constantFrom(0, 0, 0, 1, 5, 7),
  startRevision: fc.nat(),
});

/** The key of which a watch sees the put and the deletion. */
export function keyOf({ key }: AnyWatch): Uint8Array {
  return Buffer.from(key === '' ? '\0' : key, 'latin1');
}

/** Watches of one stream, and what they have seen. */
export class Watches {
  private readonly stream: Stream;
  private readonly told: WatchResponse[] = [];
  private readonly seen = new Map<number, NonNullable<WatchResponse['events']>[number][]>();
  private readonly canceled = new Map<number, number>();
  private heard = (): void => {};

  constructor(client: EtcdClient) {
    this.stream = client.stream('Watch.Watch');
    this.stream.on('error', () => {});
    this.stream.on('data', (answer) => this.take(answer as unknown as WatchResponse));
  }

  private take(answer: WatchResponse): void {
    const { watchId, created, canceled, compactRevision = 0, events = [] } = answer;
    if (created === true) this.told.push(answer);
    else if (canceled === true) this.canceled.set(watchId, compactRevision);
    this.seen.set(watchId, [...(this.seen.get(watchId) ?? []), ...events]);
    this.heard();
  }

  /** What it is answered with. */
  async create(watch: AnyWatch, startRevision: number): Promise<Partial<WatchResponse>> {
    const { filters, prevKv, watchId } = watch;
    const key = Buffer.from(watch.key, 'latin1');
    const rangeEnd = Buffer.from(watch.rangeEnd, 'latin1');
    const before = this.told.length;
    const createRequest = { key, rangeEnd, filters, prevKv, watchId, startRevision };
    this.stream.write({ createRequest });
    await this.until(() => this.told.length > before);
    const { watchId: id, created, canceled, cancelReason } = this.told[before]!;
    return { watchId: id, created: created!, canceled: canceled!, cancelReason: cancelReason! };
  }

  /** The revision from which on there is something, if it was canceled, or all that it has seen up to `revision`, which it must see. */
  async seenBy(watchId: number, revision: number): Promise<unknown> {
    const last = () => this.seen.get(watchId)?.at(-1)?.kv.modRevision ?? 0;
    await this.until(() => this.canceled.has(watchId) || last() >= revision);
    return (
      this.canceled.get(watchId) ??
      this.seen.get(watchId)!.filter(({ kv }) => kv.modRevision <= revision)
    );
  }

  private async until(condition: () => boolean): Promise<void> {
    while (!condition())
      await new Promise<void>((resolve) => {
        this.heard = resolve;
      });
  }

  close(): void {
    this.stream.cancel();
  }
}
