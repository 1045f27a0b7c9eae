import {
  type Channel,
  type Handler,
  handle,
  type ServerStreamMethod,
  VarlogError,
} from '../base/index.ts';
import { SnapshotChunk, type SnapshotRequest } from '../wire/gen/raft.ts';
import { decodeConfiguration, encodeConfiguration } from './core/index.ts';
import type { Snapshot } from './storage.ts';

type Method = ServerStreamMethod<SnapshotRequest, SnapshotChunk>;

const CHUNK_BYTES = 256 * 1024;
/** A state beyond this is not accepted: it has to be in memory as a whole. */
const STATE_BYTES_MAX = 2 ** 31;

/** Serves this member's newest snapshot, in chunks, as fast as the receiver takes them. */
export function serveSnapshot(method: Method, newest: () => Snapshot | undefined): Handler {
  return handle(method, async (request, stream) => {
    const snapshot = newest();
    if (snapshot === undefined || snapshot.index < request.index) {
      throw new VarlogError('NOT_FOUND', {
        what: `there is no snapshot of entry ${request.index} or later here`,
      });
    }
    const { index, term, state } = snapshot;
    const configuration = encodeConfiguration(snapshot.configuration);
    let offset = 0;
    do {
      const bytes = state.subarray(offset, offset + CHUNK_BYTES);
      const head =
        offset === 0 ? { index, indexTerm: term, size: state.length, configuration } : {};
      const room = stream.send(SnapshotChunk.create({ ...head, bytes }));
      offset += bytes.length;
      if (!room) await stream.writable();
    } while (offset < state.length);
  });
}

/** Fetches a snapshot of entry `index` or later from another member. */
export async function fetchSnapshot(
  channel: Channel,
  method: Method,
  index: number,
  signal: AbortSignal,
): Promise<Snapshot> {
  const stream = channel.subscribe(method, { index }, { signal });
  let found: Snapshot | undefined;
  let filled = 0;
  stream.receive((chunk) => {
    if (found === undefined) {
      if (chunk.size > STATE_BYTES_MAX || chunk.index < index) throw incomplete(channel.address);
      found = {
        index: chunk.index,
        term: chunk.indexTerm,
        configuration: decodeConfiguration(chunk.configuration),
        state: new Uint8Array(chunk.size),
      };
    }
    if (filled + chunk.bytes.length > found.state.length) throw incomplete(channel.address);
    found.state.set(chunk.bytes, filled);
    filled += chunk.bytes.length;
  });
  await stream.closed;
  if (found === undefined || filled < found.state.length) throw incomplete(channel.address);
  return found;
}

function incomplete(address: string): VarlogError {
  return new VarlogError('CORRUPT', {
    what: `the snapshot that ${address} sent does not have the size that it announced`,
    next: 'it is fetched again',
  });
}
