import {
  type ChannelCredentials,
  type ChannelOptions,
  logVerbosity,
  Metadata,
  Server,
  setLogVerbosity,
} from '@grpc/grpc-js';
import {
  type Channel,
  type DialOptions,
  type Handler,
  type Logger,
  MESSAGE_BYTES_MAX,
  type Network,
  noLogger,
  type Server as VarlogServer,
} from '../base/index.ts';
import {
  AccessTokens,
  askForToken,
  bearerOf,
  metadataWith,
  tokenWarning,
} from './access-tokens.ts';
import { ChangingTls } from './changing-tls.ts';
import { CLUSTER_HEADER, GrpcChannel } from './grpc-channel.ts';
import { trackConnections } from './grpc-connections.ts';
import { servicesOf } from './grpc-server.ts';
import { WINDOW_BYTES, widenConnections, widenStreams } from './grpc-windows.ts';
import { healthHandlers, isHealthPath } from './health.ts';
import { hostTimers } from './host-timers.ts';
import { StreamTaker } from './stream-taker.ts';
import { listenError, tcpAddress } from './tcp-address.ts';
import { clientCredentials, serverCredentials, type TlsOptions } from './tls.ts';

/** What was sent before the end has so long to leave; whoever does not take it is not waited for. */
const LEAVE_MS = 100;

const COMMON: ChannelOptions = {
  // A message over this is refused with `RESOURCE_EXHAUSTED`, at either end.
  'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
  'grpc.max_send_message_length': MESSAGE_BYTES_MAX,
  // A peer that vanished without a word is found by these, on idle connections too.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.enable_channelz': 0,
};

const CLIENT: ChannelOptions = {
  ...COMMON,
  'grpc-node.flow_control_window': WINDOW_BYTES,
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.min_reconnect_backoff_ms': 50,
  'grpc.max_reconnect_backoff_ms': 1_000,
  // Who retries decides about retries; what was sent twice must never be a surprise.
  'grpc.enable_retries': 0,
  'grpc.service_config_disable_resolution': 1,
  // The addresses of a cluster's nodes are not reached through a proxy.
  'grpc.enable_http_proxy': 0,
};

export interface GrpcNetworkOptions {
  /** Default: neither encryption nor authentication. */
  tls?: TlsOptions | ChangingTls | undefined;
  /**
   * Access tokens: a server lets in only calls that show one of them, and the first one is shown with each call to others.
   * Default: none is asked for, and none is shown.
   */
  tokens?: readonly string[] | AccessTokens | undefined;
  /** Hears of tokens that others could read on their way. Default: nobody does. */
  logger?: Logger;
  /** Whether channels to one address share a connection. Default: each has one of its own. */
  sharedConnections?: boolean;
}

/** gRPC over TCP. Throws `CONFIG_INVALID` for certificates, keys and tokens that cannot be used. */
export class GrpcNetwork implements Network {
  private readonly credentials: ChannelCredentials;
  private readonly tls: ChangingTls | undefined;
  private readonly tokens: AccessTokens | undefined;
  private readonly logger: Logger;
  private readonly channelOptions: ChannelOptions;

  constructor({
    tls,
    tokens,
    logger = noLogger,
    sharedConnections = false,
  }: GrpcNetworkOptions = {}) {
    this.tls = tls === undefined || tls instanceof ChangingTls ? tls : new ChangingTls(tls);
    this.tokens =
      tokens === undefined || tokens instanceof AccessTokens ? tokens : new AccessTokens(tokens);
    this.logger = logger;
    this.channelOptions = {
      ...CLIENT,
      'grpc.use_local_subchannel_pool': sharedConnections ? 0 : 1,
    };
    this.credentials = this.tls?.clientCredentials() ?? clientCredentials(undefined);
  }

  /** Serves the handlers, and the health check that gRPC defines, for which nobody needs a token. */
  async serve(address: string, handlers: readonly Handler[]): Promise<VarlogServer> {
    const { host } = tcpAddress(address);
    // An address that is taken is thrown here; grpc-js would print it as well.
    if (process.env['GRPC_VERBOSITY'] === undefined) setLogVerbosity(logVerbosity.NONE);
    const { tokens } = this;
    const interceptors = tokens === undefined ? [] : [askForToken(tokens, isHealthPath)];
    const server = new Server({ ...COMMON, interceptors });
    const streams = new StreamTaker(
      server,
      (headers) => tokens === undefined || tokens.has(bearerOf(headers.authorization)),
    );
    widenStreams(server);
    const add = (more: readonly Handler[]): void => {
      streams.add(more);
      for (const { definition, implementation } of servicesOf(more)) {
        server.addService(definition, implementation);
      }
    };
    add([...handlers, ...healthHandlers]);
    const port = await this.bind(server, address);
    widenConnections(server);
    const breakConnections = trackConnections(server);
    this.warn(address);
    const bound = `${host}:${port}`;
    let closing: Promise<void> | undefined;
    return {
      address: bound,
      add,
      remove: (gone) => {
        streams.remove(gone);
        for (const { definition } of servicesOf(gone)) server.removeService(definition);
      },
      close: () => {
        closing ??= new Promise((resolve) => {
          // Breaks the connections in this turn's timers phase; forceShutdown knows none without channelz.
          const shutDown = (): void => {
            server.drain(bound, 0);
            server.tryShutdown(() => {
              hostTimers.clearInterval(again);
              resolve();
            });
          };
          // A connection that was just made or just failed may not be seen the first time, and would
          // be waited for without an end; so would one whose other side does not close it.
          const again = hostTimers.setInterval(() => {
            breakConnections();
            shutDown();
          }, LEAVE_MS);
          shutDown();
        });
        return closing;
      },
    };
  }

  connect(address: string, { cluster }: DialOptions = {}): Channel {
    return new GrpcChannel(address, this.credentials, this.channelOptions, () => {
      const metadata = this.tokens === undefined ? new Metadata() : metadataWith(this.tokens.first);
      const meant = cluster?.();
      if (meant !== undefined) metadata.set(CLUSTER_HEADER, meant);
      return metadata;
    });
  }

  private warn(address: string): void {
    if (this.tokens === undefined) return;
    const warning = tokenWarning(address, this.tls !== undefined);
    if (warning !== undefined) this.logger.log('warn', warning);
  }

  private bind(server: Server, address: string): Promise<number> {
    const credentials = this.tls?.serverCredentials() ?? serverCredentials(undefined);
    return new Promise((resolve, reject) => {
      server.bindAsync(address, credentials, (error, port) => {
        if (error === null) resolve(port);
        else reject(listenError(address, error));
      });
    });
  }
}
