import {
  type Channel,
  type Clock,
  type Handler,
  handler,
  onAbort,
  type ServerStreamMethod,
  type Timer,
  VarlogError,
} from '../base/index.ts';
import { SnapshotChunk, SnapshotRequest } from '../wire/gen/raft.ts';
import { decodeConfiguration, encodeConfiguration } from './core/index.ts';
import type { Snapshot } from './storage.ts';

type Method = ServerStreamMethod<SnapshotRequest, SnapshotChunk>;

/** Less than the window of HTTP/2: where little gets through, each window still brings a sign of life. */
export const CHUNK_BYTES = 32 * 1024;
/** A state beyond this is not accepted: it has to be in memory as a whole. */
const STATE_BYTES_MAX = 2 ** 31;

/** Serves this member's newest snapshot, in chunks, as fast as the receiver takes them. */
export function serveSnapshot(
  method: Method,
  newest: () => Snapshot | undefined,
  handshake: { checkIdentity: (identity: string) => void },
): Handler {
  return handler(method, async (request, stream) => {
    handshake.checkIdentity(request.identity);
    const snapshot = newest();
    if (snapshot === undefined || snapshot.index < request.index) {
      throw new VarlogError('NOT_FOUND', {
        what: `there is no snapshot of entry ${request.index} or later here`,
      });
    }
    const { index, term, state } = snapshot;
    const configuration = encodeConfiguration(snapshot.configuration);
    const size = state.length;
    // Continues a transfer that broke, if the snapshot is still the same.
    let offset = request.partOf === index && request.offset <= size ? request.offset : 0;
    let head: Partial<SnapshotChunk> = { index, indexTerm: term, size, configuration, offset };
    do {
      const bytes = state.subarray(offset, offset + CHUNK_BYTES);
      const room = stream.send(SnapshotChunk.create({ ...head, bytes }));
      head = {};
      offset += bytes.length;
      if (!room) await stream.writable();
    } while (offset < size);
  });
}

interface DownloadOptions {
  readonly clock: Clock;
  /** A sender that is silent for longer is given up. */
  readonly silenceMsMax: number;
  /** Identity of the group, empty while it is not known. */
  readonly identity: () => string;
}

/** Fetches snapshots from other members; what broke off is continued by the next try. */
export class SnapshotDownload {
  private readonly method: Method;
  private readonly options: DownloadOptions;
  /** What has arrived of a snapshot of which the rest did not, and from where. */
  private part: { snapshot: Snapshot; filled: number; from: string } | undefined;

  constructor(method: Method, options: DownloadOptions) {
    this.method = method;
    this.options = options;
  }

  /** A snapshot of entry `index` or later. */
  async fetch(channel: Channel, index: number, signal: AbortSignal): Promise<Snapshot> {
    const from = channel.address;
    // Two members may have snapshots of the same entry that differ byte by byte.
    const known = this.part?.from === from ? this.part : undefined;
    const { clock, silenceMsMax, identity } = this.options;
    const part = { partOf: known?.snapshot.index ?? 0, offset: known?.filled ?? 0 };
    const request = { index, ...part, identity: identity() };
    const abort = new AbortController();
    const forget = onAbort(signal, () => abort.abort(signal.reason));
    const giveUp = (): void => abort.abort(silent(from));
    // Where this process was held up, what has come in the meantime is heard first.
    const listenOnce = (): void => {
      watching = clock.after(silenceMsMax / 8, giveUp);
    };
    const watch = (): Timer => clock.after(silenceMsMax, listenOnce);
    let watching = watch();
    const stream = channel.subscribe(this.method, SnapshotRequest.create(request), {
      signal: abort.signal,
    });
    let begun = false;
    stream.receive((chunk) => {
      watching.cancel();
      watching = watch();
      if (!begun) {
        this.begin(chunk, index, from);
        begun = true;
      }
      const part = this.part!;
      if (part.filled + chunk.bytes.length > part.snapshot.state.length) throw incomplete(from);
      part.snapshot.state.set(chunk.bytes, part.filled);
      part.filled += chunk.bytes.length;
    });
    try {
      await stream.closed;
    } finally {
      watching.cancel();
      forget();
    }
    const { part: whole } = this;
    if (!begun || whole === undefined || whole.filled < whole.snapshot.state.length) {
      throw incomplete(from);
    }
    this.part = undefined;
    return whole.snapshot;
  }

  private begin(chunk: SnapshotChunk, index: number, from: string): void {
    const { size, offset } = chunk;
    if (size > STATE_BYTES_MAX || chunk.index < index) throw incomplete(from);
    const { part } = this;
    if (offset > 0) {
      const continues = part?.snapshot.index === chunk.index && part.filled === offset;
      if (continues && part.snapshot.state.length === size) return;
      throw incomplete(from);
    }
    const snapshot = {
      index: chunk.index,
      term: chunk.indexTerm,
      configuration: decodeConfiguration(chunk.configuration),
      state: new Uint8Array(size),
    };
    this.part = { snapshot, filled: 0, from };
  }
}

function silent(address: string): VarlogError {
  return new VarlogError('TIMEOUT', {
    what: `nothing more came of the snapshot from ${address}`,
    next: 'it is fetched again, from where it stopped',
  });
}

function incomplete(address: string): VarlogError {
  return new VarlogError('CORRUPT', {
    what: `the snapshot that ${address} sent does not have the size that it announced`,
    next: 'it is fetched again',
  });
}
