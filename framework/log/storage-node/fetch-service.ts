import { type CallContext, type MessageStream, VarlogError } from '../../base/index.ts';
import { type Frame, frameEnd } from '../../store/index.ts';
import { Batch, Commit, type FetchRequest, FetchResponse } from '../../wire/gen/log.ts';
import type { CommitsAhead } from './commits-ahead.ts';
import { type LogStreamReplica, transferCost } from './replica.ts';
import { assertServes } from './serve.ts';

const RESPONSE_BYTES = 1024 * 1024;
/** Small batches are sent in several responses, so that none of these takes long. */
const RESPONSE_BATCHES = 256;
const RESPONSE_COMMITS = 1_024;
/** What is read of small batches at once stays small: many log streams are sent side by side. */
const FIRST_READ_BYTES = 64 * 1024;
const READ_BATCHES = 4 * RESPONSE_BATCHES;

/** Serves `Replication.Fetch`: what another replica of the log stream lacks. */
export async function serveFetch(
  replica: LogStreamReplica,
  request: FetchRequest,
  stream: MessageStream<FetchResponse, never>,
  { signal }: CallContext,
): Promise<void> {
  if (request.uncommitted) return followPrimary(replica, request, stream, signal);
  return sendCommitted(replica, request, stream, signal);
}

function inPieces(frames: readonly Frame[]): (readonly Frame[])[] {
  const pieces: (readonly Frame[])[] = [];
  for (let i = 0; i < frames.length; i += RESPONSE_BATCHES) {
    pieces.push(frames.slice(i, i + RESPONSE_BATCHES));
  }
  return pieces;
}

/** A backup follows everything that the primary appends, as it is appended. */
async function followPrimary(
  replica: LogStreamReplica,
  { epoch, fromLlsn, fromVersion }: FetchRequest,
  stream: MessageStream<FetchResponse, never>,
  signal: AbortSignal,
): Promise<void> {
  const { core } = replica;
  // A backup has nothing that its primary does not have.
  if (!core.serves(epoch) || fromLlsn > core.end + 1) throw fenced(replica, epoch);
  let next = fromLlsn;
  let nextVersion = fromVersion;
  const head = await trimmedHead(replica, fromLlsn, fromVersion);
  if (head !== undefined) {
    next = Math.max(next, head.firstLlsn);
    nextVersion = (head.commits[0]?.version ?? 0) + 1;
    await send(stream, head);
  }
  // Later ones come from the metadata repository, which may have forgotten these.
  const { version } = core;
  const ahead = replica.commitsAhead();
  let bytesMax = FIRST_READ_BYTES;
  while (!signal.aborted) {
    if (!core.serves(epoch)) throw fenced(replica, epoch);
    const commits = await commitsUpTo(ahead, nextVersion, version, next - 1);
    if (commits.length > 0) {
      nextVersion += commits.length;
      await send(stream, FetchResponse.create({ commits }));
      continue;
    }
    if (next > core.end) {
      await replica.appended.wait(signal);
      continue;
    }
    const read = readFrom(replica, next, bytesMax);
    const frames = Array.isArray(read) ? read : await read;
    bytesMax = nextRead(bytesMax, frames.length);
    if (frames.length > 0 && frames[0]!.position > next) throw trimmedMeanwhile(replica);
    for (const some of inPieces(frames)) {
      const turn = replica.host.transfers.take(transferCost(some.map((it) => it.payload)));
      if (turn !== undefined) await turn;
      if (!core.serves(epoch)) throw fenced(replica, epoch);
      next = frameEnd(some.at(-1)!) + 1;
      await send(stream, FetchResponse.create({ batches: some.map(toBatch) }));
    }
  }
}

/** A replica that is no backup gets what is committed, with its commits; that is the same in every epoch. */
async function sendCommitted(
  replica: LogStreamReplica,
  { fromLlsn, fromVersion }: FetchRequest,
  stream: MessageStream<FetchResponse, never>,
  signal: AbortSignal,
): Promise<void> {
  let nextLlsn = fromLlsn;
  let nextVersion = fromVersion;
  const head = await trimmedHead(replica, fromLlsn, fromVersion);
  if (head !== undefined) {
    nextLlsn = Math.max(nextLlsn, head.firstLlsn);
    nextVersion = (head.commits[0]?.version ?? 0) + 1;
    await send(stream, head);
  }
  const ahead = replica.commitsAhead();
  let bytesMax = FIRST_READ_BYTES;
  while (!signal.aborted) {
    assertServes(replica);
    const { version, servableEnd, state } = replica.core;
    // The commit of a head goes before its records: that all commits were sent does not say that these were.
    if (nextVersion > version && nextLlsn > servableEnd) {
      if (state !== 'open') return;
      await replica.committed.wait(signal);
      continue;
    }
    const frames = nextLlsn > servableEnd ? [] : await readFrom(replica, nextLlsn, bytesMax);
    bytesMax = nextRead(bytesMax, frames.length);
    if (frames.length > 0 && frames[0]!.position > nextLlsn) throw trimmedMeanwhile(replica);
    const pieces = inPieces(frames.filter((it) => frameEnd(it) <= servableEnd));
    for (const some of pieces.length > 0 ? pieces : [[]]) {
      const last = some.at(-1);
      if (last !== undefined) nextLlsn = frameEnd(last) + 1;
      const commits = await commitsUpTo(ahead, nextVersion, version, nextLlsn - 1);
      nextVersion += commits.length;
      if (last === undefined && commits.length === 0) throw trimmedMeanwhile(replica);
      const turn = replica.host.transfers.take(transferCost(some.map((it) => it.payload)));
      if (turn !== undefined) await turn;
      await send(stream, FetchResponse.create({ batches: some.map(toBatch), commits }));
    }
  }
}

/** Where the asker must begin when what it lacks first was trimmed here. */
async function trimmedHead(
  replica: LogStreamReplica,
  fromLlsn: number,
  fromVersion: number,
): Promise<FetchResponse | undefined> {
  const { records, commits } = replica.storage;
  const { source } = replica;
  const commitsGone = fromVersion < commits.firstVersion && commits.last !== undefined;
  if (fromLlsn >= source.first && !commitsGone) return undefined;
  // Whoever lacks commits that are gone here has nothing that was not trimmed either.
  const { first } = source;
  const [frame] = first > records.end ? [] : await source.read(first, 1);
  // Batches are sent whole, also the one of which the beginning was trimmed.
  const firstLlsn = frame?.position ?? first;
  const commit = (await commits.findByLlsn(firstLlsn)) ?? commits.last;
  return FetchResponse.create({
    firstLlsn,
    firstGlsn: replica.head.trimmed + 1,
    producers: replica.storage.producers.toMessage(),
    commits: commit === undefined ? [] : [Commit.create(commit)],
  });
}

/** Commits from `from` to version `through` of records up to `end`, at most as many as one message carries. */
async function commitsUpTo(
  ahead: CommitsAhead,
  from: number,
  through: number,
  end: number,
): Promise<Commit[]> {
  const found: Commit[] = [];
  for (let version = from; version <= through && found.length < RESPONSE_COMMITS; version++) {
    const next = ahead.at(version);
    const commit = next instanceof Promise ? await next : next;
    if (commit.llsn + commit.count - 1 > end) break;
    found.push(Commit.create(commit));
  }
  return found;
}

/** Whole batches from LLSN `from` on, also the one of which the beginning was trimmed. */
function readFrom(
  replica: LogStreamReplica,
  from: number,
  bytesMax: number,
): Frame[] | Promise<Frame[]> {
  const { source } = replica;
  return source.read(Math.max(from, source.first), bytesMax);
}

/** How much to read next, after so many batches came of `bytesMax`. */
function nextRead(bytesMax: number, batches: number): number {
  if (batches > READ_BATCHES) return Math.max(1, Math.floor((bytesMax * READ_BATCHES) / batches));
  return batches > READ_BATCHES / 4 ? bytesMax : Math.min(RESPONSE_BYTES, 2 * bytesMax);
}

async function send(
  stream: MessageStream<FetchResponse, never>,
  response: FetchResponse,
): Promise<void> {
  if (!stream.send(response)) await stream.writable();
}

function toBatch({ position, count, timestamp = 0, payload }: Frame): Batch {
  return Batch.create({ llsn: position, count, records: payload, timestamp });
}

function trimmedMeanwhile(replica: LogStreamReplica): VarlogError {
  return new VarlogError('TRIMMED', {
    what: `log stream ${replica.logStreamId} was trimmed while it was sent`,
    next: 'ask again',
  });
}

function fenced(replica: LogStreamReplica, epoch: number): VarlogError {
  return new VarlogError('SEALED', {
    what: `storage node does not lead log stream ${replica.logStreamId} in epoch ${epoch}`,
    details: { epoch: replica.core.epoch, state: replica.core.state },
  });
}
