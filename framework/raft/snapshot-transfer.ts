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
import type { SnapshotReader, SnapshotWriter } from './snapshot-file.ts';
import type { ReceivedSnapshot, SnapshotFolder } from './snapshot-folder.ts';

type Method = ServerStreamMethod<SnapshotRequest, SnapshotChunk>;

/** Less than the window of HTTP/2: where little gets through, each window still brings a sign of life. */
export const CHUNK_BYTES = 32 * 1024;

/** Serves this member's newest snapshot, in chunks, as fast as the receiver takes them. */
export function serveSnapshot(
  method: Method,
  newest: () => Promise<SnapshotReader | undefined>,
  handshake: { checkIdentity: (identity: string) => void },
): Handler {
  return handler(method, async (request, stream) => {
    handshake.checkIdentity(request.identity);
    const reader = await newest();
    try {
      if (reader === undefined || reader.snapshot.index < request.index) {
        throw new VarlogError('NOT_FOUND', {
          what: `there is no snapshot of entry ${request.index} or later here`,
        });
      }
      const { index, term, size, checksum } = reader.snapshot;
      const configuration = encodeConfiguration(reader.snapshot.configuration);
      // Continues a transfer that broke, if the snapshot is still the same.
      const offset = request.partOf === index && request.offset <= size ? request.offset : 0;
      const head = { index, indexTerm: term, size, configuration, offset, checksum };
      let isFirst = true;
      const send = async (bytes: Uint8Array): Promise<void> => {
        const room = stream.send(SnapshotChunk.create({ ...(isFirst && head), bytes }));
        isFirst = false;
        if (!room) await stream.writable();
      };
      for await (const bytes of reader.chunks(offset, CHUNK_BYTES)) await send(bytes);
      if (isFirst) await send(new Uint8Array(0));
    } finally {
      await reader?.close();
    }
  });
}

interface DownloadOptions {
  readonly clock: Clock;
  /** A sender that is silent for longer is given up. */
  readonly silenceMsMax: number;
  /** Identity of the group, empty while it is not known. */
  readonly identity: () => string;
  /** Throws for a snapshot of another group. */
  readonly checkIdentity: (identity: string) => void;
  /** Where it is written, as it arrives. */
  readonly folder: SnapshotFolder;
}

/** A snapshot that is arriving, and from where. */
interface Part {
  readonly writer: SnapshotWriter;
  readonly size: number;
  /** 0 where the sender does not tell it. */
  readonly checksum: number;
  readonly from: string;
}

/** Fetches snapshots from other members into files; what broke off is continued by the next try. */
export class SnapshotDownload {
  private readonly method: Method;
  private readonly options: DownloadOptions;
  /** What has arrived of a snapshot of which the rest did not. */
  private part: Part | undefined;
  private taking: Promise<void> = Promise.resolve();

  constructor(method: Method, options: DownloadOptions) {
    this.method = method;
    this.options = options;
  }

  /** Gives up what has arrived. The signals of all that is being fetched MUST be aborted. */
  async close(): Promise<void> {
    await this.taking.catch(() => {});
    await this.giveUpPart();
  }

  /** A snapshot of entry `index` or later, whole and on disk: the caller adopts or discards it. */
  async fetch(channel: Channel, index: number, signal: AbortSignal): Promise<ReceivedSnapshot> {
    // Where the try before was given up because its sender was, its last bytes may still be on their way to the disk.
    await this.taking.catch(() => {});
    const from = channel.address;
    // Two members may have snapshots of the same entry that differ byte by byte.
    const known = this.part?.from === from ? this.part.writer : undefined;
    const { clock, silenceMsMax, identity, folder } = this.options;
    const part = { partOf: known?.head.index ?? 0, offset: known?.size ?? 0 };
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
    let ended = false;
    const take = async (chunk: SnapshotChunk): Promise<void> => {
      if (!begun) await this.begin(chunk, index, from);
      begun = true;
      const { writer, size } = this.part!;
      if (writer.size + chunk.bytes.length > size) throw incomplete(from);
      await folder.append(writer, chunk.bytes);
    };
    stream.receive((chunk) => {
      if (ended) return undefined;
      // Meanwhile it is this member's disk that is waited for.
      watching.cancel();
      this.taking = take(chunk).then(() => {
        if (!ended) watching = watch();
      });
      return this.taking;
    });
    try {
      await stream.closed;
    } catch (error) {
      // What the sender cannot read as it was written is not to be continued.
      if (VarlogError.is(error, 'CORRUPT')) this.taking = this.taking.then(() => this.giveUpPart());
      throw error;
    } finally {
      ended = true;
      forget();
      // Before the next try: what is still being written counts, and what could not be is not continued.
      await this.taking.catch(() => this.giveUpPart());
      watching.cancel();
    }
    const { part: whole } = this;
    if (!begun || whole === undefined || whole.writer.size < whole.size) throw incomplete(from);
    this.part = undefined;
    const received = await folder.finish(whole.writer).catch(async (error: unknown) => {
      await folder.giveUp(whole.writer);
      throw error;
    });
    const { checksum } = received.snapshot;
    if (whole.checksum === 0 || whole.checksum === checksum) return received;
    await folder.discard(received);
    throw altered(from);
  }

  private async begin(chunk: SnapshotChunk, index: number, from: string): Promise<void> {
    const { size, offset, checksum, indexTerm: term } = chunk;
    const { folder, checkIdentity } = this.options;
    if (chunk.index < index) throw incomplete(from);
    const { part } = this;
    if (offset > 0) {
      const continues = part?.writer.head.index === chunk.index && part.writer.size === offset;
      if (continues && part.size === size && part.checksum === checksum) return;
      throw incomplete(from);
    }
    await this.giveUpPart();
    const configuration = decodeConfiguration(chunk.configuration);
    checkIdentity(configuration.identity);
    const writer = await folder.create({ index: chunk.index, term, configuration });
    this.part = { writer, size, checksum, from };
  }

  private async giveUpPart(): Promise<void> {
    const { part } = this;
    this.part = undefined;
    if (part !== undefined) await this.options.folder.giveUp(part.writer);
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

function altered(address: string): VarlogError {
  return new VarlogError('CORRUPT', {
    what: `the snapshot that came from ${address} is not the one that was written there`,
    because: 'its checksum is another one: the disk of the sender, or the way, changed it',
    next: 'it is fetched again; where that goes on, replace the member that sends it',
  });
}
