/**
 * The processes of a cluster: roles, configuration, life cycle, health and metrics, and the `varlog`
 * command.
 *
 * ```ts
 * import { startLocalCluster } from 'varlog/node';
 *
 * const cluster = await startLocalCluster({
 *   nodes: 3, port: 9092, httpPort: 9180, directory: '.varlog', logStreams: 2, progress: console.log,
 * });
 * // cluster.endpoints is what Varlog.connect wants
 * await cluster.close();
 * ```
 *
 * Programs beside a node serve HTTP as a node does: routes of Hono in `httpServer`, with `listen` and `stopListening`.
 *
 * Those with gRPC of their own get credentials of the files that a node reads: `tlsFromEnvironment`, with `serverCredentials`
 * and `clientCredentials`; and access tokens, `tokensFromFile`, with `askForToken` and `callMetadata`.
 *
 * Their folders `makePathSync` makes, which ends also where Node's own way does not.
 *
 * What they send over streams of their own, an `Outbox` lets go once a turn and no faster than it is read; the calls for which
 * they await answers there, a `SequenceMap` keeps by their numbers. What they have to end again, `Closers` end: all of it, also
 * where a part fails. When to do that, `toldToEnd` says, and `endInTime` waits no longer for it than a supervisor does; a peer
 * that stands still keeps no server waiting, with `trackConnections`.
 *
 * It does not decide anything about the log: that is in `log` and `raft`.
 */
export { Closers, Outbox, type Outlet, SequenceMap } from '../base/index.ts';
export {
  AccessTokens,
  askForToken,
  bearerIn,
  bearerOf,
  callMetadata,
  clientCredentials,
  endInTime,
  type HttpApp,
  type HttpEnv,
  HttpStatus,
  httpServer,
  listen,
  listenError,
  makePathSync,
  serverCredentials,
  stopListening,
  textReply,
  tokenWarning,
  toldToEnd,
  trackConnections,
} from '../runtime/index.ts';
export { CONFIG_KEYS, type NodeConfig, resolveConfig } from './config.ts';
export { type LocalCluster, type LocalClusterOptions, startLocalCluster } from './local-cluster.ts';
export { startNode, type VarlogNode } from './start-node.ts';
export { tlsFromEnvironment } from './tls-files.ts';
export { tokensFromFile } from './token-file.ts';
export { tuneGarbageCollection } from './tune-garbage-collection.ts';
