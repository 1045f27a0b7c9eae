/**
 * Raft: a totally ordered, durable log on a handful of servers that survives the loss of a minority.
 *
 * ```ts
 * import { openRaftGroup } from 'varlog/raft';
 *
 * const members = [1, 2, 3].map((id) => ({ id, address: `127.0.0.1:${7000 + id}` }));
 * await using node = await openRaftGroup({ groupId: 'orders', memberId: 1, members, directory: './data/1' });
 * const index = await node.group.append([new TextEncoder().encode('buy')]);   // committed
 * for await (const next of node.group.follow(1)) {
 *   if (next.kind !== 'entries') continue;
 *   for (const { position, command } of next.entries) console.log(position, command);
 * }
 * ```
 *
 * Three processes that run this with `memberId` 1, 2 and 3 form the group. Processes that are members of many
 * groups open a host, which shares what can be shared:
 *
 * ```ts
 * import { openRaftHost } from 'varlog/raft';
 *
 * const members = [{ id: 1, address: '127.0.0.1:7001' }];
 * await using host = await openRaftHost({ address: '127.0.0.1:7001', directory: './data/1' });
 * const shard = await host.openGroup({ groupId: 'shard-17', memberId: 1, members });
 * ```
 *
 * It does not run a state machine: `varlog/smr` does, on this or any other ordered log.
 */
import { checkText, type Server } from '../base/index.ts';
import { realPorts, type TlsOptions } from '../runtime/index.ts';
import { RaftGroup } from './group.ts';
import type { RaftGroupOptions } from './group-options.ts';
import { RaftHost, type RaftHostOptions } from './host.ts';

export type { Followed, LogCallOptions, LogEntry, OrderedLog, Ports } from '../base/index.ts';
export { VarlogError } from '../base/index.ts';
export type { TlsOptions } from '../runtime/index.ts';
export { type DestroyOptions, type DestroyReport, destroyStoppedMember } from './destroy.ts';
export type { DestroyedGroup } from './destroyed-groups.ts';
export { RaftGroup } from './group.ts';
export type { RaftGroupOptions } from './group-options.ts';
export { type HostedGroupOptions, RaftHost, type RaftHostOptions } from './host.ts';
export {
  type InspectedEntry,
  type InspectedMember,
  type InspectOptions,
  inspectMember,
} from './inspect.ts';
export type { Member } from './member.ts';
export type { Damage } from './member-files.ts';
export type { MemberMetrics, RaftMetrics } from './metrics.ts';
export { type Restored, type RestoreOptions, restoreLostMajority } from './restore.ts';
export type { RaftPositions, RaftStatus } from './status.ts';

/** How members reach each other. */
export interface ConnectionOptions {
  /** Default: neither encryption nor certificates. */
  readonly tls?: TlsOptions | undefined;
  /**
   * Access tokens. Each member lets in only who shows one of them, and shows the first to the others. Default: none is asked
   * for.
   */
  readonly tokens?: readonly string[] | undefined;
}

/** A member with the server that it listens on. */
export interface RaftNode extends AsyncDisposable {
  readonly group: RaftGroup;
  readonly server: Server;
  /** Closes both. */
  close(): Promise<void>;
}

/**
 * Opens a member on this machine, on real ports, and serves it at its own address of `members`.
 * With `tls`, all members use it; with access tokens, members let each other in by them. Rejects like {@link RaftGroup.open},
 * and with `ADDRESS_IN_USE` or `CONFIG_INVALID`.
 */
export async function openRaftGroup({
  tls,
  tokens,
  ...options
}: Omit<RaftGroupOptions, 'ports'> & ConnectionOptions): Promise<RaftNode> {
  checkText(options.directory, 'directory');
  const ports = realPorts({ directory: options.directory, tls, tokens });
  const group = await RaftGroup.open({ ...options, ports, directory: 'raft' });
  const own = options.members.find((it) => it.id === options.memberId);
  let server: Server;
  try {
    server = await ports.network.serve(own?.address ?? '', group.handlers);
  } catch (error) {
    await group.close();
    throw error;
  }
  const close = async (): Promise<void> => {
    await group.close();
    await server.close();
  };
  return { group, server, close, [Symbol.asyncDispose]: close };
}

/**
 * Opens a host on this machine, on real ports. With `tls`, all hosts of its groups use it; with access tokens, they let each
 * other in by them. Rejects like {@link RaftHost.open}, and with `CONFIG_INVALID`.
 */
export async function openRaftHost({
  tls,
  tokens,
  ...options
}: Omit<RaftHostOptions, 'ports'> & ConnectionOptions): Promise<RaftHost> {
  const { directory } = options;
  checkText(directory, 'directory');
  const ports = realPorts({ directory, tls, tokens, sharedConnections: true });
  return RaftHost.open({ ...options, ports, directory: 'raft' });
}
