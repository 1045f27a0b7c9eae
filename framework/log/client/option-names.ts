import type { OptionNames } from '../../base/index.ts';
import type { Retention } from '../core/index.ts';
import type { AppenderLimits } from './appender.ts';
import type { CallLimits } from './call-limit.ts';
import type { FlowLimits } from './entry-observable.ts';
import type { ExportOptions } from './export-topic.ts';
import type { FenceOptions } from './fence.ts';
import type { HandleOptions } from './handle.ts';
import type { AppendOptions, ReadOptions, TailOptions, TopicOptions } from './record-log.ts';
import type { ConnectOptions, CreateTopicOptions, ImportOptions } from './varlog.ts';

const LIMITS: OptionNames<CallLimits> = { signal: true, timeoutMs: true };

/** What `Varlog.connect` takes. */
export const CONNECT_NAMES: OptionNames<
  ConnectOptions & { tls: never; token: never; ports: never }
> = {
  ...LIMITS,
  endpoints: true,
  clusterId: true,
  cluster: true,
  appends: true,
  tls: true,
  token: true,
  ports: true,
};

/** What `appends` of `Varlog.connect` takes. */
export const APPENDER_NAMES: OptionNames<AppenderLimits> = {
  inFlightBytes: true,
  waitingBytes: true,
  recordBytesMax: true,
};

/** What `createTopic` takes. */
export const CREATE_TOPIC_NAMES: OptionNames<CreateTopicOptions> = {
  ...LIMITS,
  logStreams: true,
  replicationFactor: true,
  acknowledge: true,
  retention: true,
  first: true,
};

/** What a retention consists of. */
export const RETENTION_NAMES: OptionNames<Retention> = { bytes: true, ageMs: true };

/** What `importTopic` takes. */
export const IMPORT_NAMES: OptionNames<ImportOptions> = {
  ...LIMITS,
  replicationFactor: true,
  acknowledge: true,
};

/** What `varlog.topic` takes. */
export const TOPIC_NAMES: OptionNames<TopicOptions<never>> = { codec: true, onDecodeError: true };

/** What `append` takes. */
export const APPEND_NAMES: OptionNames<AppendOptions> = {
  ...LIMITS,
  key: true,
  headers: true,
  logStream: true,
  expect: true,
  receipt: true,
};

/** What `append` of a producer takes: its log stream is chosen. */
export const PRODUCER_APPEND_NAMES: OptionNames<Omit<AppendOptions, 'logStream'>> = {
  ...LIMITS,
  key: true,
  headers: true,
  expect: true,
  receipt: true,
};

/** What `producer` takes. */
export const PRODUCER_NAMES: OptionNames<CallLimits & { id: number }> = { ...LIMITS, id: true };

/** What `read` takes. */
export const READ_NAMES: OptionNames<ReadOptions> = {
  ...LIMITS,
  from: true,
  to: true,
  consistency: true,
  atLeast: true,
  bufferBytes: true,
};

/** What `tail` takes. */
export const TAIL_NAMES: OptionNames<TailOptions> = { from: true, signal: true, bufferBytes: true };

const FLOW: OptionNames<FlowLimits> = { maxInFlight: true, maxInFlightBytes: true };

/** What `read$` takes. */
export const READ_FLOW_NAMES: OptionNames<ReadOptions & FlowLimits> = { ...READ_NAMES, ...FLOW };

/** What `tail$` takes. */
export const TAIL_FLOW_NAMES: OptionNames<TailOptions & FlowLimits> = { ...TAIL_NAMES, ...FLOW };

/** What `fence` takes. */
export const FENCE_NAMES: OptionNames<FenceOptions> = { ...LIMITS, token: true, logStream: true };

/** What `trim` takes. */
export const TRIM_NAMES: OptionNames<CallLimits & { force: never }> = { ...LIMITS, force: true };

/** What `replaceStorageNode` takes. */
export const REPLACE_NODE_NAMES: OptionNames<CallLimits & { disk: never; force: never }> = {
  ...LIMITS,
  disk: true,
  force: true,
};

/** What `addLogStream` takes. */
export const ADD_LOG_STREAM_NAMES: OptionNames<CallLimits & { replicationFactor: never }> = {
  ...LIMITS,
  replicationFactor: true,
};

/** What `ready` takes. */
export const READY_NAMES: OptionNames<CallLimits & { storageNodes: never }> = {
  ...LIMITS,
  storageNodes: true,
};

/** What `consumers.add` takes. */
export const ADD_CONSUMER_NAMES: OptionNames<CallLimits & { from: never }> = {
  ...LIMITS,
  from: true,
};

/** What `export` takes. */
export const EXPORT_NAMES: OptionNames<ExportOptions> = {
  from: true,
  to: true,
  resume: true,
  signal: true,
};

/** What `handle` takes. */
export const HANDLE_NAMES: OptionNames<HandleOptions<never>> = { concurrency: true, orderBy: true };
