import {
  type CallContext,
  decodeBatch,
  encodeBatch,
  type Handler,
  handler,
  type MessageStream,
  VarlogError,
} from '../../base/index.ts';
import { Empty } from '../../wire/gen/protobuf.ts';
import * as snpb from '../../wire/gen/snpb.ts';
import { LogEntryMeta } from '../../wire/gen/varlogpb.ts';
import { checkIds, checkPositions } from '../published-ids.ts';
import { append } from './append.ts';
import { checkAppend } from './append-service.ts';
import { CommittedReader } from './committed-reader.ts';
import type { AppendSink } from './pending-appends.ts';
import { describeReplicaAlone } from './published-description.ts';
import { managementHandlers } from './published-management.ts';
import type { LogStreamReplica } from './replica.ts';
import { noReplica } from './replica-errors.ts';
import type { ServedNode } from './served-node.ts';

/** Requests of one stream that are under way at once; more are read once one is answered. */
const PIPELINE_MAX = 8;
/** The published way to say "no end": 2^64 - 1, which a number cannot hold exactly. */
const NO_END = 2 ** 63;

/** The services that Varlog publishes for its storage nodes (`varlog.snpb`). */
export function publishedHandlers(node: ServedNode): Handler[] {
  return [
    handler(snpb.LogIO.Append, (stream) => serveAppend(node, stream)),
    handler(snpb.LogIO.Subscribe, async (request, stream, context) => {
      const { glsnBegin, glsnEnd } = request;
      checkRange(glsnBegin, glsnEnd);
      const replica = find(node, request);
      // 0 says: from the first record that is left.
      const from = glsnBegin === 0 ? replica.head.trimmed + 1 : glsnBegin;
      const reader = await CommittedReader.atGlsn(replica, from);
      await sendRecords(replica, reader, stream, context, {
        // Records of the other log streams may take up the range to its end.
        isOver: () => replica.watermark >= glsnEnd - 1,
        shape: (glsn, llsn, payload) => {
          if (glsn >= glsnEnd) return undefined;
          return glsn < from ? null : { glsn, llsn, payload };
        },
      });
    }),
    handler(snpb.LogIO.SubscribeTo, async (request, stream, context) => {
      const { topicId, logStreamId, llsnBegin, llsnEnd } = request;
      checkRange(llsnBegin, llsnEnd);
      const replica = find(node, request);
      const from = llsnBegin === 0 ? replica.source.first : llsnBegin;
      const reader = CommittedReader.atLlsn(replica, from);
      await sendRecords(replica, reader, stream, context, {
        isOver: () => replica.core.committedEnd >= llsnEnd - 1,
        shape: (glsn, llsn, payload) => {
          if (llsn >= llsnEnd) return undefined;
          if (llsn < from) return null;
          return { logEntry: { meta: { topicId, logStreamId, glsn, llsn }, data: payload } };
        },
      });
    }),
    handler(snpb.LogIO.TrimDeprecated, async ({ topicId, glsn }) => {
      checkIds({ topic: topicId });
      checkPositions({ GLSN: glsn });
      await node.trim(topicId, glsn);
      return Empty.create({});
    }),
    handler(snpb.LogIO.LogStreamReplicaMetadata, async ({ topicId, logStreamId }) => {
      checkIds({ topic: topicId, 'log stream': logStreamId });
      const status = node.status.replicas.find(
        (it) => it.topicId === topicId && it.logStreamId === logStreamId,
      );
      if (status === undefined) throw noReplica(topicId, logStreamId, node.storageNodeId);
      return snpb.LogStreamReplicaMetadataResponse.create({
        logStreamReplica: await describeReplicaAlone(node, status),
      });
    }),
    ...managementHandlers(node),
  ];
}

function find(
  node: ServedNode,
  { topicId, logStreamId }: { topicId: number; logStreamId: number },
): LogStreamReplica {
  checkIds({ topic: topicId, 'log stream': logStreamId });
  return node.find(topicId, logStreamId);
}

/** One stream appends to one log stream; answers come in the order of the requests. */
async function serveAppend(
  node: ServedNode,
  stream: MessageStream<snpb.AppendResponse, snpb.AppendRequest>,
): Promise<void> {
  let pinned: { topicId: number; logStreamId: number } | undefined;
  let underWay = 0;
  let answered: Promise<void> = Promise.resolve();
  let refuse: (error: unknown) => void = () => {};
  const refused = new Promise<never>((_, reject) => {
    refuse = reject;
  });
  stream.receive((request) => {
    pinned ??= { topicId: request.topicId, logStreamId: request.logStreamId };
    const outcome = appendOnce(node, request, pinned);
    outcome.catch(() => {});
    underWay++;
    answered = answered
      .then(() => outcome)
      .then((response) => {
        underWay--;
        if (!stream.send(response)) return stream.writable();
        return undefined;
      });
    answered.catch(refuse);
    return underWay < PIPELINE_MAX ? undefined : outcome.then(() => {});
  });
  await Promise.race([stream.closed, refused]);
  await answered;
}

async function appendOnce(
  node: ServedNode,
  { topicId, logStreamId, payload }: snpb.AppendRequest,
  pinned: { topicId: number; logStreamId: number },
): Promise<snpb.AppendResponse> {
  if (topicId !== pinned.topicId || logStreamId !== pinned.logStreamId) {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: 'unmatched topic or logstream: one stream appends to one log stream',
      next: 'open another stream',
      outcome: 'notAppended',
    });
  }
  const batch = encodeBatch(payload);
  checkAppend(batch, node.recordLimits);
  const replica = find(node, pinned);
  const { glsn, llsn } = await new Promise<{ glsn: number; llsn: number }>((resolve, reject) => {
    const arrivedAt = replica.host.ports.clock.now();
    const sink: AppendSink = {
      acknowledge: (_, first, llsnFirst) => resolve({ glsn: first, llsn: llsnFirst }),
      fail: (_, error) => reject(error),
    };
    append(replica, batch, { sequence: 0, sink, arrivedAt, receipt: false });
  });
  return snpb.AppendResponse.create({
    results: payload.map((_, i) =>
      snpb.AppendResult.create({
        meta: LogEntryMeta.create({ topicId, logStreamId, glsn: glsn + i, llsn: llsn + i }),
      }),
    ),
  });
}

interface Range<Message> {
  /** Whether all that belongs to it is committed here. */
  isOver(): boolean;
  /** The message for a record; null for one before the range, undefined for one after it. */
  shape(glsn: number, llsn: number, payload: Uint8Array): Message | null | undefined;
}

/** Sends one record a message, as the published calls do. */
async function sendRecords<Message>(
  replica: LogStreamReplica,
  reader: CommittedReader,
  stream: MessageStream<Message, never>,
  { signal }: CallContext,
  range: Range<Message>,
): Promise<void> {
  while (!signal.aborted) {
    const { version } = replica.core;
    // Looked at before the batches: what is committed while they are read is not covered by it.
    const { watermark } = replica;
    const isOver = range.isOver();
    const batches = await reader.next();
    for (const { frame, glsn } of batches) {
      const turn = replica.host.transfers.take(frame.count);
      if (turn !== undefined) await turn;
      const { count, position, payload } = frame;
      const records = decodeBatch({ count, bytes: payload });
      for (let i = 0; i < count; i++) {
        const message = range.shape(glsn + i, position + i, records[i]!);
        if (message === undefined) return;
        if (message !== null && !stream.send(message)) await stream.writable();
      }
    }
    if (batches.length > 0) continue;
    if (isOver) return;
    const moved = replica.watermark !== watermark || replica.core.version !== version;
    if (!moved) await replica.progressed.wait(signal);
  }
}

function checkRange(begin: number, end: number): void {
  if (begin < end && (end >= NO_END || Number.isSafeInteger(end))) return;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `the range from ${begin} to before ${end} is empty`,
    next: 'the end must be above the beginning',
  });
}
