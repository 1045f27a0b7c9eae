/**
 * The ports on a real machine: timers, files, gRPC. The only folder that touches the outside.
 *
 * ```ts
 * const ports = realPorts({ directory: './data' });
 * const server = await ports.network.serve('127.0.0.1:9092', handlers);
 * const channel = ports.network.connect(server.address);
 * ```
 *
 * It decides nothing: what happens after an error is up to whoever holds the port. It retries nothing:
 * a channel connects again at the next call, and that is all.
 */
export {
  AccessTokens,
  askForToken,
  bearerIn,
  bearerOf,
  callMetadata,
  checkToken,
  tokenWarning,
} from './access-tokens.ts';
export { type CertificateFacts, certificateFacts } from './certificate.ts';
export { ChangingTls } from './changing-tls.ts';
export { realClock } from './clock.ts';
export { RealDisk } from './disk.ts';
export { trackConnections } from './grpc-connections.ts';
export { GrpcNetwork, type GrpcNetworkOptions } from './grpc-network.ts';
export {
  type HttpApp,
  type HttpEnv,
  type HttpServer,
  httpServer,
  listen,
  serveHttp,
  stopListening,
  textReply,
} from './http.ts';
export { HttpStatus } from './http-status.ts';
export { jsonLogger, type LogLevel } from './logger.ts';
export { makePathSync } from './make-path.ts';
export { realRandom } from './random.ts';
export { type RealPortsOptions, realPorts } from './real-ports.ts';
export {
  isWildcard,
  listenError,
  localAddress,
  tcpAddress,
} from './tcp-address.ts';
export { checkTls, clientCredentials, serverCredentials, type TlsOptions } from './tls.ts';
export { endInTime, interrupted, toldToEnd } from './told-to-end.ts';
export { realTracing } from './tracing.ts';
