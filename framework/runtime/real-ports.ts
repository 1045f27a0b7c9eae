import type { Logger, Ports } from '../base/index.ts';
import type { AccessTokens } from './access-tokens.ts';
import type { ChangingTls } from './changing-tls.ts';
import { realClock } from './clock.ts';
import { RealDisk } from './disk.ts';
import { GrpcNetwork } from './grpc-network.ts';
import { jsonLogger, type LogLevel } from './logger.ts';
import { realRandom } from './random.ts';
import type { TlsOptions } from './tls.ts';

export interface RealPortsOptions {
  /** The folder that is the disk's root. */
  directory: string;
  /** Where notes go. Default: JSON lines on the standard error. */
  logger?: Logger;
  /** The least level that the default logger writes. Default: `warn`. */
  logLevel?: LogLevel;
  /** Timers alone do not keep the process alive: for a library inside somebody's program. */
  background?: boolean;
  /** Default: connections are neither encrypted nor authenticated. */
  tls?: TlsOptions | ChangingTls | undefined;
  /** Access tokens: servers let in who shows one of them, and the first is shown to others. Default: none. */
  tokens?: readonly string[] | AccessTokens | undefined;
  /** Whether channels to one address share a connection. Default: each has one of its own. */
  sharedConnections?: boolean;
}

/** The ports of this machine: its clock, its randomness, gRPC, and a folder of its file system. */
export function realPorts(options: RealPortsOptions): Ports {
  const logger = options.logger ?? jsonLogger(options.logLevel ?? 'warn');
  return {
    clock: realClock({ background: options.background ?? false }),
    random: realRandom,
    disk: new RealDisk(options.directory),
    network: new GrpcNetwork({
      tls: options.tls,
      tokens: options.tokens,
      logger,
      sharedConnections: options.sharedConnections ?? false,
    }),
    logger,
  };
}
