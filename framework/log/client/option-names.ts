/*
 * The names of the options of calls. Where a call checks its options by them, the compiler sees that none is missing.
 */

import { LIMIT_NAMES } from '../../base/index.ts';

/** What `Varlog.connect` takes. */
export const CONNECT_NAMES = {
  ...LIMIT_NAMES,
  endpoints: true,
  clusterId: true,
  cluster: true,
  appends: true,
  tls: true,
  token: true,
  ports: true,
};

/** What `appends` of `Varlog.connect` takes. */
export const APPENDER_NAMES = {
  inFlightBytes: true,
  waitingBytes: true,
  recordBytesMax: true,
};

/** What `createTopic` takes. */
export const CREATE_TOPIC_NAMES = {
  ...LIMIT_NAMES,
  logStreams: true,
  replicationFactor: true,
  acknowledge: true,
  retention: true,
  first: true,
};

/** What a retention consists of. */
export const RETENTION_NAMES = { bytes: true, ageMs: true };

/** What `importTopic` takes. */
export const IMPORT_NAMES = {
  ...LIMIT_NAMES,
  replicationFactor: true,
  acknowledge: true,
};

/** What `varlog.topic` takes. */
export const TOPIC_NAMES = { codec: true, onDecodeError: true };

/** What `append` takes. */
export const APPEND_NAMES = {
  ...LIMIT_NAMES,
  key: true,
  headers: true,
  logStream: true,
  expect: true,
  receipt: true,
};

/** What `expect` of an append may name. */
export const EXPECT_NAMES = { tail: true, stream: true, fence: true };

/** What `expect.stream` of an append consists of. */
export const EXPECT_STREAM_NAMES = { key: true, version: true };

/** What `appendAtomically` takes. */
export const ATOMIC_NAMES = { ...LIMIT_NAMES, expect: false };

/** What a part of `appendAtomically` consists of. */
export const ATOMIC_PART_NAMES = {
  logStream: true,
  records: true,
  key: true,
  headers: true,
  expect: false,
};

/** What `append` of a producer takes: its log stream is chosen. */
export const PRODUCER_APPEND_NAMES = {
  ...LIMIT_NAMES,
  key: true,
  headers: true,
  expect: true,
  receipt: true,
};

/** What `producer` takes. */
export const PRODUCER_NAMES = { ...LIMIT_NAMES, id: true };

/** What `read` takes. */
export const READ_NAMES = {
  ...LIMIT_NAMES,
  from: true,
  to: true,
  consistency: true,
  atLeast: true,
  bufferBytes: true,
};

/** What `tail` takes. */
export const TAIL_NAMES = { from: true, signal: true, bufferBytes: true };

const FLOW = { maxInFlight: true, maxInFlightBytes: true };

/** What `read$` takes. */
export const READ_FLOW_NAMES = { ...READ_NAMES, ...FLOW };

/** What `tail$` takes. */
export const TAIL_FLOW_NAMES = { ...TAIL_NAMES, ...FLOW };

/** What `fence` takes. */
export const FENCE_NAMES = { ...LIMIT_NAMES, token: true, logStream: true };

/** What `trim` takes. */
export const TRIM_NAMES = { ...LIMIT_NAMES, force: true };

/** What `replaceStorageNode` takes. */
export const REPLACE_NODE_NAMES = {
  ...LIMIT_NAMES,
  disk: true,
  force: true,
};

/** What `addLogStream` takes. */
export const ADD_LOG_STREAM_NAMES = {
  ...LIMIT_NAMES,
  replicationFactor: true,
};

/** What `ready` takes. */
export const READY_NAMES = {
  ...LIMIT_NAMES,
  storageNodes: true,
};

/** What `consumers.add` takes. */
export const ADD_CONSUMER_NAMES = {
  ...LIMIT_NAMES,
  from: true,
};

/** What `export` takes. */
export const EXPORT_NAMES = {
  from: true,
  to: true,
  resume: true,
  signal: true,
};

/** What `handle` takes. */
export const HANDLE_NAMES = { concurrency: true, orderBy: true };
