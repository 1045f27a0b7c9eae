import { type DirectoryLock, type Ports, type Server, VarlogError } from '../base/index.ts';
import { type Journal, syncTimes, timeSyncs } from '../store/index.ts';
import { RaftGroup } from './group.ts';
import type { RaftGroupOptions } from './group-options.ts';
import { Heartbeats } from './heartbeats.ts';
import { groupFolderOf, openJournalOf } from './host-folder.ts';
import type { HostResources } from './host-resources.ts';
import { methodsOf } from './methods.ts';
import { Ticker } from './ticker.ts';
import { timingOf } from './timing.ts';

/** What all groups of a host have in common. */
export interface RaftHostOptions {
  readonly ports: Ports;
  /** `host:port` at which this process serves its members of all groups. */
  readonly address: string;
  /** The host's own folder. */
  readonly directory: string;
  /** As in {@link RaftGroupOptions}. */
  readonly electionTimeoutMs?: number;
  readonly heartbeatMs?: number;
}

/** One member of a group on a {@link RaftHost}. */
export type HostedGroupOptions = Omit<
  RaftGroupOptions,
  'ports' | 'directory' | 'electionTimeoutMs' | 'heartbeatMs'
>;

const RECENT_BYTES_MAX = 1024 * 1024;

/**
 * Members of many groups in one process, for whoever shards: they share a server, the connections, the timer, one message
 * for all heartbeats of a turn, and one journal, so that one fdatasync makes durable what all of them wrote.
 */
export class RaftHost implements AsyncDisposable {
  /** What serves the members; with the real port where port 0 was asked for. */
  readonly server: Server;
  private readonly options: RaftHostOptions;
  private readonly lock: DirectoryLock;
  private readonly journal: Journal;
  private readonly heartbeats: Heartbeats;
  private readonly resources: HostResources;
  private readonly groups = new Set<RaftGroup>();
  private closing: Promise<void> | undefined;

  private constructor(
    options: RaftHostOptions,
    parts: {
      lock: DirectoryLock;
      journal: Journal;
      heartbeats: Heartbeats;
      server: Server;
      syncs: HostResources['syncs'];
    },
  ) {
    this.options = options;
    this.lock = parts.lock;
    this.journal = parts.journal;
    this.heartbeats = parts.heartbeats;
    this.server = parts.server;
    const ticker = new Ticker(options.ports.clock, timingOf(options).tickMs);
    const { journal, heartbeats, syncs } = parts;
    this.resources = { ticker, journal, heartbeats, syncs, recentBytesMax: RECENT_BYTES_MAX };
  }

  /**
   * Opens the folder and serves at the address. Rejects with `DIRECTORY_IN_USE`, `CORRUPT`, `ADDRESS_IN_USE`
   * or `INVALID_ARGUMENT`.
   */
  static async open(options: RaftHostOptions): Promise<RaftHost> {
    const { ports, address, directory } = options;
    timingOf(options);
    const { disk, clock, network } = ports;
    await disk.makeDirectory(directory);
    const lock = await disk.lock(directory);
    let journal: Journal | undefined;
    try {
      const syncs = syncTimes();
      journal = await openJournalOf(directory, { disk: timeSyncs(disk, clock, syncs), clock });
      const heartbeats = new Heartbeats(clock, network);
      const server = await network.serve(address, [heartbeats.handler]);
      return new RaftHost(options, { lock, journal, heartbeats, server, syncs });
    } catch (error) {
      await journal?.close();
      await lock.release();
      throw error;
    }
  }

  /**
   * Opens this process's member of a group and serves it. Rejects as {@link RaftGroup.open} does; a group is open once.
   * Closing the group is enough to end it; its data stays.
   */
  async openGroup(options: HostedGroupOptions): Promise<RaftGroup> {
    if (this.closing !== undefined) {
      throw new VarlogError('CLOSED', { what: 'this host of Raft groups is closed' });
    }
    // Throws for a name that cannot be part of a path.
    methodsOf(options.groupId);
    const { ports, electionTimeoutMs, heartbeatMs } = this.options;
    const directory = groupFolderOf(this.options.directory, options.groupId);
    const timing = {
      ...(electionTimeoutMs === undefined ? {} : { electionTimeoutMs }),
      ...(heartbeatMs === undefined ? {} : { heartbeatMs }),
    };
    const group = await RaftGroup.open({ ...options, ...timing, ports, directory }, this.resources);
    this.groups.add(group);
    this.server.add(group.handlers);
    group.status$.subscribe({
      complete: () => {
        this.groups.delete(group);
        this.server.remove(group.handlers);
      },
    });
    return group;
  }

  /** Messages with heartbeats that left this host, each with those of all groups in one turn. */
  get heartbeatsSent(): number {
    return this.heartbeats.sent;
  }

  /** Closes all groups, and lets go of the address and the folder. */
  close(): Promise<void> {
    this.closing ??= this.finish();
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async finish(): Promise<void> {
    await Promise.all([...this.groups].map((it) => it.close()));
    this.heartbeats.close();
    await this.server.close();
    await this.journal.close();
    await this.lock.release();
  }
}
