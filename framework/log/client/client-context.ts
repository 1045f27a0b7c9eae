import type { Ports, Tracing } from '../../base/index.ts';
import type { Appender } from './appender.ts';
import type { Catalog } from './catalog.ts';
import type { ClientChannels } from './client-channels.ts';
import type { RepositoryClient } from './repository-client.ts';

/** What all topics of one client share. */
export interface ClientContext {
  readonly ports: Pick<Ports, 'clock' | 'random'> & { readonly tracing?: Tracing };
  readonly channels: ClientChannels;
  readonly repository: RepositoryClient;
  readonly catalog: Catalog;
  readonly appender: Appender;
  /** Aborted with `CLOSED` when the client is closed. */
  readonly lifetime: AbortSignal;
}
