/**
 * A replicated, totally ordered log.
 *
 * ```ts
 * import { handle, Varlog } from 'varlog/log';
 *
 * await using varlog = await Varlog.connect({ endpoints: ['127.0.0.1:9092'] });
 * const topic = varlog.topic(1);
 *
 * const { glsn } = await topic.append('hello'); // durable and ordered when this resolves
 * topic
 *   .tail$({ from: 'start' }) // never ends, resumes automatically
 *   .pipe(handle(async (entry) => save(entry))) // effects with backpressure
 *   .subscribe();
 * for await (const entry of topic.read({ from: 1, to: glsn })) console.log(entry.text());
 * await topic.trim(glsn);
 * ```
 *
 * It does not run a cluster (`varlog/node`, or `npx varlog up`) nor state machines (`varlog/smr`).
 */
import { checkText } from '../base/index.ts';
import {
  GrpcNetwork,
  RealDisk,
  realClock,
  realRandom,
  realTracing,
  type TlsOptions,
} from '../runtime/index.ts';
import {
  type CheckpointStore,
  Varlog as Client,
  type ClientPorts,
  type ConnectOptions,
} from './client/index.ts';
import { FileCheckpointStore } from './consumer/index.ts';

export {
  BATCH_BYTES_MAX,
  type ErrorCode,
  type Glsn,
  glsn,
  LARGEST_RECORD_BYTES,
  type Llsn,
  type LogStreamId,
  llsn,
  type OrderedLog,
  type Outcome,
  RECORD_BYTES_MAX,
  reasonOf,
  type StorageNodeId,
  type TopicId,
  VarlogError,
} from '../base/index.ts';
export type { TlsOptions } from '../runtime/index.ts';
export {
  type AppendAck,
  type AppenderLimits,
  type AppendInput,
  type AppendOptions,
  type AppendReceipt,
  type AtTime,
  after,
  bytes,
  type CallLimits,
  type Checkpoint,
  type CheckpointOwner,
  type CheckpointStore,
  type ClientPorts,
  type CloseOptions,
  type ClusterMembers,
  type ClusterStatus,
  type ConnectOptions,
  Consumer,
  type ConsumerContext,
  type ConsumerDescription,
  type ConsumerHealth,
  type ConsumerOptions,
  type ConsumerStatus,
  type CreateTopicOptions,
  checkExport,
  checkOwner,
  type Decode,
  type Decoded,
  Entry,
  EntryBatch,
  EntryObservable,
  type Expectation,
  type ExportHeader,
  type ExportOptions,
  type ExportProgress,
  type ExportSummary,
  type FenceOptions,
  type FlowLimits,
  type Freshness,
  type From,
  type HandleOptions,
  type HeadersInput,
  handle,
  type ImportedTopic,
  type ImportOptions,
  json,
  type LogStreamDescription,
  type LogStreamFence,
  type LogStreamReplicaStatus,
  type LogStreamStatus,
  type MemberAddress,
  type MemberStatus,
  type MessageType,
  type OnDecodeError,
  type OnHandlerError,
  type ParkedChoice,
  type ParkedRecord,
  type ProducerAck,
  protobuf,
  type ReadOptions,
  type RecordAttributes,
  type RecordCodec,
  type RecordHandler,
  RecordHeaders,
  type RecordInput,
  type RecordLog,
  type RecordProducer,
  type RecordWith,
  type ResumeToken,
  type Retention,
  type RetriedRecord,
  record,
  resumableExport,
  type StandardSchema,
  type StorageNodeStatus,
  Subscription,
  type SubscriptionStatus,
  type TailOptions,
  Topic,
  TopicConsumers,
  type TopicDescription,
  TopicExport,
  type TopicHold,
  type TopicKeeper,
  type TopicOptions,
  TopicProducer,
  type TopicStatus,
  type TopicUsage,
  type TransactionalCheckpointStore,
  text,
  type WithCheckpoint,
} from './client/index.ts';

/** A client of one cluster. */
export type Varlog = Client;

/** Connects to clusters. */
export const Varlog = {
  /**
   * Finds the cluster at `endpoints`; some member must answer within `timeoutMs` (default 5,000). Rejects with
   * `UNREACHABLE`, `TIMEOUT`, `CLUSTER_MISMATCH`, `UNAUTHENTICATED`, `INVALID_ARGUMENT` or `CONFIG_INVALID` (TLS, token).
   * `token`: the access token to show, where nodes ask for one. `ports`: another clock, network and randomness than this
   * machine's, as in a simulation; TLS and token are up to that network. A text is short for its `endpoints`.
   *
   * ```ts
   * const varlog = await Varlog.connect('varlog://10.0.0.1:9092,[fd00::2]:9092/1');
   * await varlog.topic().append('hello'); // topic 1
   * ```
   */
  async connect(
    options:
      | string
      | (ConnectOptions & {
          tls?: TlsOptions | undefined;
          token?: string | undefined;
          ports?: ClientPorts;
        }),
  ): Promise<Client> {
    const given = typeof options === 'string' ? { endpoints: options } : options;
    // A variable of the environment that is not set is `undefined` to plain JavaScript: the client says what is missing.
    const { tls, token, ports = machine(tls, token), ...rest } = given ?? {};
    return Client.connect({ ...rest, ports });
  },
};

/** Keeps the checkpoint of one consumer in a folder of its own: `topic.process({ name, checkpoint: checkpointDirectory(path) }, …)`. Throws `INVALID_ARGUMENT` without a path. */
export function checkpointDirectory(path: string): CheckpointStore {
  checkText(path, 'path');
  return new FileCheckpointStore(new RealDisk(path));
}

function machine(tls: TlsOptions | undefined, token: string | undefined): ClientPorts {
  const network = new GrpcNetwork({ tls, tokens: token === undefined ? undefined : [token] });
  return { clock: realClock(), random: realRandom, network, tracing: realTracing };
}
