import {
  checkNames,
  checkText,
  type DirectoryLock,
  Lanes,
  type OptionNames,
  type Ports,
  type Server,
  VarlogError,
} from '../base/index.ts';
import { DiskGuard, type FolderWatch, type Journal, syncTimes, timeSyncs } from '../store/index.ts';
import { checkIdentity, memberToDestroy } from './destroy.ts';
import {
  type DestroyedGroup,
  DestroyedGroups,
  groupDestroyed,
  tombstoneHandlers,
} from './destroyed-groups.ts';
import { RaftGroup } from './group.ts';
import type { RaftGroupOptions } from './group-options.ts';
import { Heartbeats } from './heartbeats.ts';
import { groupFolderOf, openJournalOf } from './host-folder.ts';
import type { HostResources } from './host-resources.ts';
import { methodsOf } from './methods.ts';
import { watchOwnFolder } from './own-folder.ts';
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

const NAMES: OptionNames<RaftHostOptions> = {
  ports: false,
  address: true,
  directory: true,
  electionTimeoutMs: true,
  heartbeatMs: true,
};

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
  private readonly groups = new Map<string, RaftGroup>();
  /** Members that are being opened or destroyed: one of them at a time for each group. */
  private readonly changes = new Lanes<string>(Number.POSITIVE_INFINITY);
  private readonly graves: DestroyedGroups;
  private readonly watch: FolderWatch;
  private closing: Promise<void> | undefined;

  private constructor(
    options: RaftHostOptions,
    parts: {
      lock: DirectoryLock;
      journal: Journal;
      heartbeats: Heartbeats;
      server: Server;
      syncs: HostResources['syncs'];
      graves: DestroyedGroups;
      disk: DiskGuard;
    },
  ) {
    const { disk } = parts;
    const ports = { ...options.ports, disk };
    this.options = { ...options, ports };
    this.lock = parts.lock;
    this.journal = parts.journal;
    this.heartbeats = parts.heartbeats;
    this.server = parts.server;
    this.graves = parts.graves;
    const ticker = new Ticker(options.ports.clock, timingOf(options).tickMs);
    const { journal, heartbeats, syncs } = parts;
    this.watch = watchOwnFolder(options.directory, { ports, disk, syncs }, (error) =>
      journal.fail(error),
    );
    this.resources = { ticker, journal, heartbeats, syncs, recentBytesMax: RECENT_BYTES_MAX };
  }

  /**
   * Opens the folder and serves at the address. Rejects with `DIRECTORY_IN_USE`, `CORRUPT`, `ADDRESS_IN_USE`
   * or `INVALID_ARGUMENT`.
   */
  static async open(options: RaftHostOptions): Promise<RaftHost> {
    checkNames(options, NAMES, 'a host of Raft groups');
    const { ports, address, directory } = options;
    checkText(address, 'address');
    checkText(directory, 'directory');
    timingOf(options);
    const { clock, network } = ports;
    const disk = new DiskGuard(ports.disk);
    await disk.makeDirectory(directory);
    const lock = await disk.lock(directory);
    let journal: Journal | undefined;
    try {
      const syncs = syncTimes();
      journal = await openJournalOf(directory, { disk: timeSyncs(disk, clock, syncs), clock });
      const heartbeats = new Heartbeats(clock, network);
      const graves = await DestroyedGroups.open(disk, directory);
      const refusals = graves.all.flatMap(tombstoneHandlers);
      const server = await network.serve(address, [heartbeats.handler, ...refusals]);
      const host = new RaftHost(options, {
        lock,
        journal,
        heartbeats,
        server,
        syncs,
        graves,
        disk,
      });
      void host.clearDestroyed();
      return host;
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
    this.refuseWhenClosed();
    // Throws for a name that cannot be part of a path.
    methodsOf(options.groupId);
    return this.change(options.groupId, () => this.open(options));
  }

  /**
   * Destroys this host's member of a group for good: it ends, whether open or not, its files are freed, and a tombstone
   * stays. Nothing brings it back, no late message and no restart; the id of the group is not used again on this host.
   * Whoever calls the member is told `GROUP_DESTROYED`, and other members that do, as the leader does, show it in `status.destroyedAt`; they go on as
   * without it, and are destroyed each by an order of its own. Asked for again it finishes what is left to do.
   *
   * Rejects with `CLUSTER_MISMATCH` where the member is of a group with another identity, `NOT_FOUND` where this
   * host has no member of the group, `FAILED_PRECONDITION` for one that does not know its group yet, and `DISK_FULL`:
   * nothing has changed then. Where the disk fills up afterwards, it resolves when there is room again. After any other error it is destroyed, or is not, and may be destroyed again.
   */
  async destroyGroup(options: { groupId: string; identity: string }): Promise<void> {
    checkNames(options, { groupId: true, identity: true }, 'destroyGroup');
    const { groupId, identity } = options;
    this.refuseWhenClosed();
    methodsOf(groupId);
    return this.change(groupId, async () => {
      const known = this.graves.find(groupId);
      const { directory, ports } = this.options;
      const running = this.groups.get(groupId)?.status.identity;
      const group = known ?? (await memberToDestroy(groupId, directory, ports.disk, running));
      checkIdentity(group, identity);
      if (known === undefined) {
        await this.graves.bury(group);
        ports.logger.log('warn', 'raft.destroyed', { ...group });
      }
      const closed = this.groups.get(groupId)?.close(groupDestroyed(group));
      if (known === undefined) this.server.add(tombstoneHandlers(group));
      await closed;
      await this.graves.clear(group, this.journal);
    });
  }

  /** The members that were destroyed on this host. */
  get destroyed(): readonly DestroyedGroup[] {
    return this.graves.all;
  }

  /** Messages with heartbeats that left this host, each with those of all groups in one turn. */
  get heartbeatsSent(): number {
    return this.heartbeats.sent;
  }

  /** Closes all groups, and lets go of the address and the folder. */
  close(): Promise<void> {
    // Not at once: whom the end of a group is told may close the host too.
    this.closing ??= Promise.resolve().then(() => this.finish());
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async open(options: HostedGroupOptions): Promise<RaftGroup> {
    const { groupId } = options;
    this.graves.check(groupId);
    const before = this.groups.get(groupId);
    if (before?.status.role === 'closed') await before.close();
    const { ports, electionTimeoutMs, heartbeatMs } = this.options;
    const directory = groupFolderOf(this.options.directory, groupId);
    const timing = {
      ...(electionTimeoutMs === undefined ? {} : { electionTimeoutMs }),
      ...(heartbeatMs === undefined ? {} : { heartbeatMs }),
    };
    const group = await RaftGroup.open({ ...options, ...timing, ports, directory }, this.resources);
    this.groups.set(groupId, group);
    this.server.add(group.handlers);
    group.status$.subscribe({
      complete: () => {
        this.server.remove(group.handlers);
        const forget = (): void => {
          if (this.groups.get(groupId) === group) this.groups.delete(groupId);
        };
        // One that failed lets go of its folder too.
        group.close().then(forget, forget);
      },
    });
    return group;
  }

  /** Frees what a crash left of destroyed groups. What fails is tried with the next start. */
  private async clearDestroyed(): Promise<void> {
    for (const group of this.graves.all) {
      await this.change(group.groupId, () => this.graves.clear(group, this.journal)).catch(
        (error: unknown) => {
          if (this.closing !== undefined) return;
          const { logger } = this.options.ports;
          logger.log('warn', 'raft.destroyed.leftOver', { ...group, error: String(error) });
        },
      );
    }
  }

  private change<T>(groupId: string, run: () => Promise<T>): Promise<T> {
    return this.changes.run(groupId, () => {
      this.refuseWhenClosed();
      return run();
    });
  }

  private refuseWhenClosed(): void {
    if (this.closing === undefined) return;
    throw new VarlogError('CLOSED', { what: 'this host of Raft groups is closed' });
  }

  private async finish(): Promise<void> {
    this.watch.stop();
    await Promise.all([...this.groups.values()].map((it) => it.close()));
    this.heartbeats.close();
    await this.server.close();
    // It also ends what waits for room on a full disk.
    await this.journal.close();
    await this.changes.settled();
    await Promise.all([...this.groups.values()].map((it) => it.close()));
    await this.lock.release();
  }
}
