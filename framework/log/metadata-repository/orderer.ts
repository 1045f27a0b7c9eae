import { type Observable, Subject } from 'rxjs';
import { type MessageStream, OncePerTurn, type Ports, VarlogError } from '../../base/index.ts';
import {
  Assignment,
  type Hello,
  type SessionRequest,
  type SessionResponse,
} from '../../wire/gen/log.ts';
import {
  type Commit,
  CutPlanner,
  cutsOf,
  type LogStreamState,
  type Metadata,
  type MetadataChanges,
  type MetadataCommand,
  partsToEnter,
  type Report,
  refusalOfDisk,
  TOGETHER_FROM,
} from '../core/index.ts';
import { reportOfWire, sizesOfWire } from '../report-codec.ts';
import { LOG_TIMES } from '../timing.ts';
import { assignmentFor, assignmentOf } from './assignment-of.ts';
import { isGone } from './gone-node.ts';
import { type OrderingHistograms, ProposedCuts } from './proposed-cuts.ts';
import { StorageNodeLink } from './storage-node-link.ts';

/** Cuts on their way through Raft at once. More would only make each of them smaller. */
const CUTS_IN_FLIGHT_MAX = 2;

/** Notes that something is to be said to a node, and whether it hears of it as a primary. */
type Notify = (link: StorageNodeLink, primary: boolean) => void;

/** Everything that a member does because it leads; made anew for every term that it does. */
export class Orderer {
  readonly planner: CutPlanner;
  private readonly metadata: Metadata;
  private readonly ports: Ports;
  private readonly cluster: () => string;
  private readonly execute: (command: MetadataCommand) => Promise<unknown>;
  private readonly repairTriggers = new Subject<void>();
  /** Something happened that the repair may have to act on. Not when appends go well. */
  readonly repairTriggers$: Observable<void> = this.repairTriggers.asObservable();
  private readonly links = new Map<number, StorageNodeLink>();
  /** When each node was last known to be alive. */
  private readonly lastAlive = new Map<number, number>();
  /** Storage nodes that have replicas of a topic. */
  private readonly nodesOfTopics = new Map<number, ReadonlySet<number>>();
  /** Where the members of the metadata repository listen. */
  private memberAddresses: readonly string[] = [];
  private readonly cuts: ProposedCuts;
  private readonly nextCut: OncePerTurn;
  private readonly lastHeardAt: (address: string) => number;
  private ended = false;
  /** When nodes are to be told next that the leader is alive. */
  private due: number;

  constructor(
    metadata: Metadata,
    ports: Ports,
    group: {
      /** Identity of the cluster, which is known once there are links. */
      cluster: () => string;
      execute: (command: MetadataCommand) => Promise<unknown>;
      stations: OrderingHistograms;
      /** When the member at an address was last heard, by the clock of this process; `-Infinity`: never. */
      lastHeardAt: (address: string) => number;
      /** The leader before, where this member leads because that one was lost. */
      lostLeader?: { readonly address: string; readonly silentMs: number } | undefined;
    },
  ) {
    this.metadata = metadata;
    this.ports = ports;
    // Behind a turn's other reports, so that they share the cut.
    this.nextCut = new OncePerTurn(ports.clock, () => {
      if (!this.ended) this.cut();
    });
    this.cluster = group.cluster;
    this.execute = group.execute;
    this.lastHeardAt = group.lastHeardAt;
    this.cuts = new ProposedCuts(ports.clock, group.stations);
    this.planner = new CutPlanner(metadata);
    this.due = ports.clock.now() + LOG_TIMES.keepaliveMs;
    // Nobody has been heard yet, so nobody can be missed yet: but who is in one process with the leader before is as
    // silent as that one, or gone with it.
    const { lostLeader } = group;
    for (const { id, address } of metadata.storageNodes.values()) {
      const isLost = lostLeader?.address === address;
      this.lastAlive.set(id, ports.clock.now() - (isLost ? lostLeader.silentMs : 0));
      if (isLost) void this.seeWhetherGone(id);
    }
  }

  /** Milliseconds since storage node `node` was last alive; 0 while its link is well, and when this leader has only begun. */
  unheardForMs(node: number): number {
    if (this.links.has(node)) return 0;
    this.excuseStall();
    return this.ports.clock.now() - (this.lastAlive.get(node) ?? Number.NEGATIVE_INFINITY);
  }

  /** Whether storage node `node` has a link, and that is well. */
  isUp(node: number): boolean {
    return this.links.has(node);
  }

  /**
   * Throws when a node's disk is another one than its own, another process is that node and alive, or another node that is
   * alive has its address: whatever is meant for this one would be said to that.
   */
  admit({ storageNodeId: node, disk, incarnation, address }: Hello): void {
    const known = this.metadata.storageNodes.get(node);
    const refusal = known === undefined ? undefined : refusalOfDisk(known, disk);
    const twin = this.links.get(node);
    if (refusal !== undefined) {
      const { code, what, next } = refusal;
      // Whoever replaced that disk now would take it away from a node that is well.
      const because = twin && `storage node ${node} is up with its own disk, at ${twin.address}`;
      throw new VarlogError(code, { what, ...(because && { because }), next });
    }
    const neighbour = [...this.links.values()].find((it) => it.address === address);
    if (neighbour !== undefined && neighbour.node !== node) {
      throw new VarlogError('ALREADY_EXISTS', {
        what: `storage node ${node} says that it is reached at ${address}, where storage node ${neighbour.node} is up`,
        next: 'start it with an address of its own in --advertise (or --listen)',
      });
    }
    if (twin === undefined || twin.processId === incarnation) return;
    throw new VarlogError('ALREADY_EXISTS', {
      what: `another process is storage node ${node}, at ${twin.address}, and was heard just now`,
      next: 'stop one of them; this one goes on as soon as the other is surely gone',
    });
  }

  /** Takes over the stream of a node that was admitted, and says all that concerns it. */
  open(hello: Hello, stream: MessageStream<SessionResponse, SessionRequest>): StorageNodeLink {
    this.admit(hello);
    const { storageNodeId: node } = hello;
    if (!this.isThere({ node, address: hello.address })) {
      throw new VarlogError('UNAVAILABLE', {
        what: `storage node ${node} was unregistered, or is another process since just now`,
        next: 'ask again',
      });
    }
    this.links.get(node)?.end();
    const { metadata, ports } = this;
    const link = new StorageNodeLink(hello, stream, { metadata, clock: ports.clock });
    this.links.set(node, link);
    for (const logStream of this.metadata.logStreams.values()) {
      if (logStream.replicas.includes(node)) link.assign(assignmentOf(this.metadata, logStream));
    }
    for (const logStreamId of this.metadata.storageNodes.get(node)?.removed ?? []) {
      link.assign(Assignment.create({ logStreamId, removed: true }));
    }
    link.completeAssignments(this.cluster());
    link.tellMembers(this.memberAddresses);
    link.flush();
    this.repairTriggers.next();
    return link;
  }

  /** Whether a node is where everybody is led to. */
  private isThere({ node, address }: { node: number; address: string }): boolean {
    return this.metadata.storageNodes.get(node)?.address === address;
  }

  /** A node whose process is gone need not be waited for. */
  private async seeWhetherGone(node: number): Promise<void> {
    const address = this.metadata.storageNodes.get(node)?.address;
    if (address === undefined) return;
    const isMissed = (): boolean =>
      !this.ended && !this.links.has(node) && this.unheardForMs(node) < LOG_TIMES.nodeLostAfterMs;
    if (!(await isGone(this.ports, address, isMissed)) || !isMissed()) return;
    this.ports.logger.log('info', 'the process of a storage node is gone', { node, address });
    this.lastAlive.set(node, this.ports.clock.now() - LOG_TIMES.nodeLostAfterMs);
    this.repairTriggers.next();
  }

  private endLink(node: number): void {
    this.links.get(node)?.end();
    this.links.delete(node);
  }

  /** The highest feature level that storage node `node` supports; 0: it is not connected, or does not say it. */
  supportedLevelOf(node: number): number {
    return this.links.get(node)?.supportedLevel ?? 0;
  }

  /** Bytes that storage node `node` has of a log stream, as of a few seconds ago; `undefined`: not known. */
  bytesOf(logStreamId: number, node: number): number | undefined {
    return this.links.get(node)?.sizes.get(logStreamId);
  }

  /** The process that is storage node `node` now; empty when none is connected. */
  processOf(node: number): string {
    return this.links.get(node)?.processId ?? '';
  }

  closed(link: StorageNodeLink): void {
    if (this.links.get(link.node) !== link) return;
    this.links.delete(link.node);
    this.lastAlive.set(link.node, this.ports.clock.now());
    this.repairTriggers.next();
    void this.seeWhetherGone(link.node);
  }

  receive(link: StorageNodeLink, message: SessionRequest): void {
    // What a process says that was taken for gone does not count.
    if (this.links.get(link.node) !== link) return;
    link.touch(message.sentAt);
    if (message.reports.length > 0) this.cuts.reported(link.lastHeard);
    if (message.sizes !== null) link.sizes = sizesOfWire(message.sizes);
    if (message.removed.length > 0) {
      const { node: id, disk } = link;
      const { removed: logStreams } = message;
      // What is not confirmed is asked for again over the next link.
      this.execute({ kind: 'confirmRemovals', id, disk, logStreams }).catch(() => {});
    }
    for (const it of message.reports) {
      const report = reportOfWire(it);
      if (this.isNews(link.node, report)) this.repairTriggers.next();
      const { node } = link;
      if (!this.planner.report(node, report)) {
        this.ports.logger.log('error', 'replica lost data', { node, ...report });
      }
      this.letIn(report);
    }
    for (const { logStreamId, fromVersion } of message.history) {
      link.sendHistoryFrom(logStreamId, fromVersion);
    }
    if (message.history.length > 0) link.flush();
    this.scheduleCut();
  }

  /** Lets parts of atomic appends enter their logs that waited for what a report tells. */
  private letIn(report: Report): void {
    if (report.parked === undefined && report.waiting === undefined) return;
    const { metadata, planner } = this;
    if (metadata.featureLevel < TOGETHER_FROM) return;
    const heard = {
      metadata,
      reportOf: planner.reportOf.bind(planner),
      isUp: (node: number) => this.isUp(node),
    };
    for (const { node, logStreamId, id } of partsToEnter(report, heard)) {
      this.links.get(node)?.letIn(logStreamId, id);
    }
  }

  /** Passes on what a batch of applied commands changed: primaries hear of their commits first. */
  applied(changes: MetadataChanges): void {
    const notified = new Map<StorageNodeLink, boolean>();
    const notify: Notify = (link, primary) => {
      notified.set(link, primary || notified.get(link) === true);
    };
    for (const node of [...changes.replaced, ...changes.unregistered]) {
      this.planner.forget(node);
      this.endLink(node);
    }
    // Two processes of one name may come at the same time: the one that others are not led to must come again.
    for (const node of changes.moved) {
      const link = this.links.get(node);
      if (link !== undefined && !this.isThere(link)) this.endLink(node);
    }
    if (changes.reassigned.size > 0) this.nodesOfTopics.clear();
    if (changes.reassigned.size + changes.replaced.size + changes.unregistered.size > 0) {
      this.repairTriggers.next();
    }
    for (const [id, nodes] of changes.reassigned) {
      this.planner.revisit(id);
      for (const node of nodes) {
        const link = this.links.get(node);
        if (link === undefined) continue;
        link.assign(assignmentFor(this.metadata, id, node));
        notify(link, false);
      }
    }
    const moved = new Set<number>();
    for (const commit of changes.commits) {
      const logStream = this.metadata.logStreams.get(commit.logStreamId);
      if (logStream === undefined) continue;
      moved.add(logStream.topicId);
      this.passOn(commit, logStream, notify);
    }
    for (const topicId of moved) this.passOnWatermark(topicId, notify);
    const primariesFirst = [...notified].sort(([, a], [, b]) => Number(b) - Number(a));
    for (const [link] of primariesFirst) link.flush();
    this.scheduleCut();
  }

  /** Storage nodes find the metadata repository at these addresses from now on. */
  tellMembers(addresses: readonly string[]): void {
    if (String(addresses) === String(this.memberAddresses)) return;
    this.memberAddresses = addresses;
    for (const link of this.links.values()) {
      link.tellMembers(addresses);
      link.flush();
    }
  }

  end(): void {
    this.ended = true;
    this.repairTriggers.complete();
    for (const link of this.links.values()) link.end();
    this.links.clear();
  }

  private passOn(commit: Commit, { replicas, members }: LogStreamState, notify: Notify): void {
    for (const node of replicas) {
      const link = this.links.get(node);
      if (link === undefined) continue;
      const isPrimary = node === members[0];
      link.commit(commit, isPrimary ? this.cuts.timesOf(commit) : undefined);
      notify(link, isPrimary);
    }
  }

  /** Once a topic, however many of its log streams have moved. */
  private passOnWatermark(topicId: number, notify: Notify): void {
    const { highWatermark } = this.metadata.topics.get(topicId)!;
    for (const node of this.nodesOf(topicId)) {
      const link = this.links.get(node);
      if (link === undefined) continue;
      link.watermark(topicId, highWatermark);
      notify(link, false);
    }
  }

  private nodesOf(topicId: number): ReadonlySet<number> {
    const known = this.nodesOfTopics.get(topicId);
    if (known !== undefined) return known;
    const logStreams = this.metadata.topics.get(topicId)!.logStreams;
    const nodes = new Set(logStreams.flatMap((id) => this.metadata.logStreams.get(id)!.replicas));
    this.nodesOfTopics.set(topicId, nodes);
    return nodes;
  }

  private scheduleCut(): void {
    if (this.cuts.size >= CUTS_IN_FLIGHT_MAX) return;
    if (this.planner.pending) this.nextCut.schedule();
  }

  private cut(): void {
    const commands = cutsOf(this.planner);
    const cut = this.cuts.planned(commands.flatMap((it) => it.entries));
    if (cut === undefined) return;
    Promise.all(commands.map((it) => this.execute(it))).then(
      () => {
        this.cuts.succeeded(cut);
        this.cutDone();
      },
      () => {
        this.cuts.failed(cut);
        this.planner.forgetProposals();
        this.cutDone();
      },
    );
  }

  /** Whether the repair may have to act on a report. The many of those that get on are not what it waits for. */
  private isNews(node: number, { logStreamId, state }: Report): boolean {
    if (state === 'open') return false;
    return state !== 'learning' || this.planner.reportOf(logStreamId, node)?.state !== state;
  }

  private cutDone(): void {
    if (!this.ended) this.scheduleCut();
  }

  /** To be called every `LOG_TIMES.keepaliveMs`: says to all nodes that the leader is alive, and misses the silent ones. */
  keepAlive(): void {
    if (this.ended) return;
    this.excuseStall();
    for (const link of this.links.values()) link.keepAlive(this.lastHeardAt(link.address));
    this.due = this.ports.clock.now() + LOG_TIMES.keepaliveMs;
    if (this.planner.isAnyStuck) this.repairTriggers.next();
  }

  /** While this process is held up, what nodes send waits: that is no silence of theirs. */
  private excuseStall(): void {
    const now = this.ports.clock.now();
    const late = now - this.due;
    if (late < LOG_TIMES.stallMs) return;
    this.due = now;
    if (late >= LOG_TIMES.keepaliveMs)
      this.ports.logger.log('warn', 'held up', { ms: Math.round(late) });
    const ms = late + LOG_TIMES.stallMarginMs;
    for (const link of this.links.values()) link.extendDeadline(ms);
    for (const [node, at] of this.lastAlive) this.lastAlive.set(node, Math.min(now, at + ms));
  }
}
