import {
  type Batch,
  type Clock,
  checkSentBatch,
  type MessageStream,
  OncePerTurn,
  ownBytes,
  ownTogether,
  type RecordLimits,
  VarlogError,
} from '../../base/index.ts';
import {
  type AppendBatch,
  type AppendRequest,
  AppendResponse,
  AppendResult,
  type AppendTimes,
  Failure,
} from '../../wire/gen/log.ts';
import type { AppendCondition } from '../core/index.ts';
import { append } from './append.ts';
import { type AppendStations, microseconds, timesToWire } from './append-stations.ts';
import type { AppendSink } from './pending-appends.ts';
import type { LogStreamReplica } from './replica.ts';

/** Finds the replica that an append is for; throws when it is not here. */
export type FindReplica = (topicId: number, logStreamId: number) => LogStreamReplica;

const RAISE = '; or raise --record-bytes-max of all storage nodes, up to 16 MiB';

/** Serves `LogStreams.Append`: batches in, results out, those of one turn in one message. */
export async function serveAppends(
  stream: MessageStream<AppendResponse, AppendRequest>,
  find: FindReplica,
  limits: RecordLimits,
  clock: Clock,
): Promise<void> {
  const results = new ResultWriter(stream, clock);
  stream.receive((request) => {
    const arrivedAt = clock.now();
    const own = ownRecords(request.batches);
    for (const [i, batch] of request.batches.entries()) {
      appendOne(batch, { bytes: own[i]!, arrivedAt }, { find, limits, results });
    }
    return results.room();
  });
  await stream.closed;
  await results.drained();
}

/** Batches of one log stream are kept together. Of several, one may be kept for long. */
function ownRecords(batches: readonly AppendBatch[]): readonly Uint8Array[] {
  const records = batches.map((it) => it.records);
  const isOfOne = batches.every((it) => it.logStreamId === batches[0]!.logStreamId);
  return isOfOne ? ownTogether(records) : records.map(ownBytes);
}

function appendOne(
  it: AppendBatch,
  { bytes, arrivedAt }: { bytes: Uint8Array; arrivedAt: number },
  {
    find,
    limits,
    results: sink,
  }: { find: FindReplica; limits: RecordLimits; results: ResultWriter },
): void {
  sink.expect();
  try {
    const batch = { count: it.condition?.count ?? it.count, bytes };
    checkAppend(batch, limits);
    const { sequence, receipt } = it;
    const replica = find(it.topicId, it.logStreamId);
    append(replica, batch, { sequence, sink, arrivedAt, receipt }, conditionOf(it));
  } catch (error) {
    if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
    sink.fail(it.sequence, error);
  }
}

/** On the wire, what is not given is null. */
function conditionOf({ condition }: AppendBatch): AppendCondition | undefined {
  if (condition === null) return undefined;
  const { tail, key, fence } = condition;
  return { tail: tail ?? undefined, key: key ?? undefined, fence: fence ?? undefined };
}

/** Refuses what a client must not send. Nothing is stored then. */
export function checkAppend(batch: Batch, { recordBytes, batchBytes }: RecordLimits): void {
  const refuse = (code: 'EMPTY_BATCH' | 'ENTRY_TOO_LARGE', what: string, next: string) =>
    new VarlogError(code, { what, next, outcome: 'notAppended' });
  if (batch.count === 0) {
    throw refuse('EMPTY_BATCH', 'no payload: the batch is empty', 'append at least one record');
  }
  if (batch.bytes.length > batchBytes) {
    throw refuse(
      'ENTRY_TOO_LARGE',
      `the batch has ${batch.bytes.length} bytes, more than the ${batchBytes} that this node takes`,
      `append it in several batches${RAISE}`,
    );
  }
  const largest = checkSentBatch(batch);
  if (largest > recordBytes) {
    throw refuse(
      'ENTRY_TOO_LARGE',
      `a record has ${largest} bytes, more than the ${recordBytes} that this node takes`,
      `split it, or store it elsewhere and append a reference${RAISE}`,
    );
  }
}

/** Gathers the results of one turn. A client that does not read them is not read from any more. */
class ResultWriter implements AppendSink {
  private readonly stream: MessageStream<AppendResponse, AppendRequest>;
  private readonly turn: OncePerTurn;
  private readonly clock: Clock;
  /** Those of which somebody asked where the time went, and since when they wait for the others. */
  private timed: { readonly times: AppendTimes; readonly since: number }[] = [];
  private results: AppendResult[] = [];
  private outstanding = 0;
  private blocked: Promise<void> | undefined;
  private whenDrained: (() => void) | undefined;

  constructor(stream: MessageStream<AppendResponse, AppendRequest>, clock: Clock) {
    this.stream = stream;
    this.clock = clock;
    this.turn = new OncePerTurn(clock, () => this.flush());
  }

  expect(): void {
    this.outstanding++;
  }

  acknowledge(
    sequence: number,
    glsn: number,
    llsn: number,
    _count: number,
    duplicate: boolean,
    stations?: AppendStations,
  ): void {
    if (stations === undefined) {
      this.push(AppendResult.create({ sequence, glsn, llsn, duplicate }));
      return;
    }
    const times = timesToWire(stations);
    this.timed.push({ times, since: this.clock.now() });
    this.push(AppendResult.create({ sequence, glsn, llsn, duplicate, times }));
  }

  fail(sequence: number, error: VarlogError): void {
    const failure = Failure.create({
      code: error.code,
      message: error.message,
      outcome: error.outcome ?? 'notAppended',
      details: JSON.stringify(error.details),
    });
    this.push(AppendResult.create({ sequence, failure }));
  }

  /** Pending while the client reads too slowly. */
  room(): Promise<void> | undefined {
    return this.blocked;
  }

  /** Resolves when every append has its result. */
  drained(): Promise<void> {
    if (this.outstanding === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.whenDrained = resolve;
    });
  }

  private push(result: AppendResult): void {
    this.results.push(result);
    this.turn.schedule();
  }

  private flush(): void {
    const { results } = this;
    this.results = [];
    this.outstanding -= results.length;
    if (this.timed.length > 0) this.endTimes();
    if (!this.stream.send(AppendResponse.create({ results }))) {
      this.blocked ??= this.stream.writable().then(
        () => {
          this.blocked = undefined;
        },
        () => {},
      );
    }
    if (this.outstanding === 0) this.whenDrained?.();
  }

  private endTimes(): void {
    const now = this.clock.now();
    for (const { times, since } of this.timed) times.answer = microseconds(now - since);
    this.timed = [];
  }
}
