import type { handleBidiStreamingCall, ServerDuplexStream } from '@grpc/grpc-js';
import { VarlogError } from 'varlog/log';
import { bytesOfKey, type KeyRange } from '../key.ts';
import { keyValueOf, rangeOf } from '../range.ts';
import type { LiveVersion, Version } from '../version.ts';
import type { EtcdContext } from './etcd-context.ts';
import { etcdStatusOf } from './etcd-error.ts';
import {
  EVENT_TYPE,
  type WatchCreateRequest,
  type WatchRequest,
  type WatchResponse,
} from './messages.ts';

/** Watches of one stream. */
const WATCHES_MAX = 10_000;
/** The id in an answer that belongs to no watch. */
const NO_WATCH = -1;
const WITHOUT = { put: 0, delete: 1 } as const;

type Stream = ServerDuplexStream<WatchRequest, WatchResponse>;

/** One watch of a stream. */
interface Watch {
  readonly canceling: AbortController;
  /** Everything up to here is on its way. */
  through: number;
}

/** Method `etcdserverpb.Watch.Watch`: any number of watches on one stream. */
export function serveWatches(
  context: EtcdContext,
): handleBidiStreamingCall<WatchRequest, WatchResponse> {
  return (stream) => new WatchSession(context, stream).begin();
}

class WatchSession {
  private readonly context: EtcdContext;
  private readonly stream: Stream;
  private readonly watches = new Map<number, Watch>();
  private readonly over = new AbortController();
  /** As of etcd, the first one is 0. */
  private lastId = -1;
  /** Resolves when the client has taken what was sent; absent while there is room. */
  private room: Promise<void> | undefined;

  constructor(context: EtcdContext, stream: Stream) {
    this.context = context;
    this.stream = stream;
  }

  begin(): void {
    const { stream } = this;
    stream.on('data', (request: WatchRequest) => this.take(request));
    stream.on('end', () => {
      this.end();
      stream.end();
    });
    for (const event of ['cancelled', 'error', 'close']) stream.once(event, () => this.end());
  }

  private end(): void {
    this.over.abort();
    for (const { canceling } of this.watches.values()) canceling.abort();
  }

  private take(request: WatchRequest): void {
    if (this.over.signal.aborted) return;
    switch (request.requestUnion) {
      case 'createRequest':
        this.create(request.createRequest);
        break;
      case 'cancelRequest':
        this.cancel(request.cancelRequest.watchId);
        break;
      case 'progressRequest':
        this.tell({ watchId: NO_WATCH }, this.passed());
        break;
      default:
    }
  }

  private create(request: WatchCreateRequest): void {
    const { watches } = this;
    const range = rangeWatched(request);
    const refusal =
      range.to !== undefined && range.to <= range.from
        ? 'mvcc: watcher range is empty'
        : request.watchId > 0 && watches.has(request.watchId)
          ? 'mvcc: duplicate watch ID provided on the WatchStream'
          : watches.size >= WATCHES_MAX
            ? `one stream may have ${WATCHES_MAX} watches: open another one`
            : undefined;
    if (refusal !== undefined) {
      this.tell({ watchId: NO_WATCH, created: true, canceled: true, cancelReason: refusal });
      return;
    }
    const id = request.watchId > 0 ? request.watchId : this.freeId();
    const { revision } = this.context.service.machine;
    const through = request.startRevision === 0 ? revision : request.startRevision - 1;
    const watch: Watch = { canceling: new AbortController(), through };
    watches.set(id, watch);
    // It tells of its failures itself.
    void this.run(id, watch, request, range);
  }

  private freeId(): number {
    do this.lastId++;
    while (this.watches.has(this.lastId));
    return this.lastId;
  }

  private cancel(watchId: number): void {
    const watch = this.watches.get(watchId);
    if (watch === undefined) return;
    this.watches.delete(watchId);
    watch.canceling.abort();
    this.tell({ watchId, canceled: true });
  }

  /** What all watches have come to. */
  private passed(): number {
    let revision = this.context.service.machine.revision;
    for (const { through } of this.watches.values()) revision = Math.min(revision, through);
    return revision;
  }

  private async run(
    watchId: number,
    watch: Watch,
    request: WatchCreateRequest,
    range: KeyRange,
  ): Promise<void> {
    const { service } = this.context;
    const start = request.startRevision === 0 ? {} : { from: request.startRevision };
    const { signal } = watch.canceling;
    let created = false;
    const create = (): void => {
      if (!created) this.tell({ watchId, created: true });
      created = true;
    };
    const moved = (through: number): void => {
      watch.through = through;
    };
    try {
      for await (const { changes, through } of service.watch(range, start, signal, moved)) {
        const isProgress = created && request.progressNotify && changes.length === 0;
        create();
        const events = changes
          .filter((it) => isWanted(it, request))
          .map((it) => this.event(it, request.prevKv));
        if (events.length === 0 && !isProgress) continue;
        await this.deliver({ watchId, events }, through, signal);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (VarlogError.is(error, 'TRIMMED')) {
        create();
        this.watches.delete(watchId);
        const compactRevision = service.machine.history.forgotten + 1;
        this.tell({ watchId, canceled: true, compactRevision });
        return;
      }
      this.end();
      this.stream.emit('error', etcdStatusOf(error));
    }
  }

  private event(change: Version, prevKv: boolean): NonNullable<WatchResponse['events']>[number] {
    const { key, value, revision } = change;
    const before = prevKv ? this.context.service.machine.before(key, revision) : undefined;
    const kv =
      value === undefined
        ? { key: bytesOfKey(key), modRevision: revision }
        : keyValueOf(change as LiveVersion);
    const type = value === undefined ? EVENT_TYPE.delete : EVENT_TYPE.put;
    return { type, kv, ...(before && { prevKv: keyValueOf(before) }) };
  }

  /** An answer to a request. Who does not take the answers is not listened to. */
  private tell(response: WatchResponse, revision = this.context.service.machine.revision): void {
    this.send(response, revision);
    if (this.room === undefined) return;
    this.stream.pause();
    void this.room.then(() => this.stream.resume());
  }

  /** Resolves when there is room for more. */
  private async deliver(
    response: WatchResponse,
    revision: number,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    this.send(response, revision);
    await this.room;
  }

  private send(response: WatchResponse, revision: number): void {
    const { stream, over } = this;
    const hasRoom = stream.write({ ...response, header: this.context.header(revision) });
    if (hasRoom || this.room !== undefined) return;
    this.room = new Promise((resolve) => {
      const go = (): void => {
        this.room = undefined;
        stream.off('drain', go);
        over.signal.removeEventListener('abort', go);
        resolve();
      };
      stream.on('drain', go);
      over.signal.addEventListener('abort', go);
    });
  }
}

function rangeWatched({ key, rangeEnd }: WatchCreateRequest): KeyRange {
  // As etcd has it: the first key that there may be.
  return rangeOf(key.length === 0 ? Uint8Array.of(0) : key, rangeEnd);
}

function isWanted({ value }: Version, { filters }: WatchCreateRequest): boolean {
  return !filters.includes(value === undefined ? WITHOUT.delete : WITHOUT.put);
}
