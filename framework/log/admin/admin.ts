import type { Handler, Ports } from '../../base/index.ts';
import { type LogStreamState, REBALANCE_BYTES } from '../core/index.ts';
import {
  type MetadataRepository,
  type Orderer,
  placementView,
} from '../metadata-repository/index.ts';
import { clusterManagerHandlers } from './cluster-manager.ts';
import { Joins } from './joins.ts';
import { Lookout } from './lookout.ts';
import { carryOutMove, Moves } from './moves.ts';
import { isAtRest, type Repair, type RepairContext, repairOf } from './repair.ts';
import { RepairHistory, type Replicas } from './repair-history.ts';

export interface AdminOptions {
  ports: Ports;
  /** The member that it runs beside. */
  repository: MetadataRepository;
  /** Replicas of a new log stream where the caller names none. */
  replicationFactor: number;
  /**
   * Whether log streams are moved, and primaries changed, so that all storage nodes have about as many, and about as many
   * bytes. Drained nodes are emptied in either case. Default true.
   */
  rebalance?: boolean;
  /** Storage nodes whose bytes differ by less are left as they are. Default 64 MiB. */
  rebalanceBytes?: number;
  /** Log streams that are sealed at once for the sake of replicas that are to take part in them. Default 32. */
  joinsAtOnce?: number;
}

const JOINS_AT_ONCE = 32;
/** More are begun at the next look: the heartbeats of this process must not wait for hundreds of them. */
const BEGUN_PER_LOOK = 64;

/** Keeps log streams writable and whole. One runs beside every member, the leader's acts. */
export interface Admin {
  /** The published service `varlog.admpb.ClusterManager`. */
  readonly handlers: readonly Handler[];
  close(): Promise<void>;
}

/**
 * Starts to look after the cluster. It keeps no state of its own: everything is in the repository. Throws `CONFIG_INVALID`
 * where the options make no sense.
 */
export function startAdmin(options: AdminOptions): Admin {
  const { ports, repository, replicationFactor, rebalance = true } = options;
  const { joinsAtOnce = JOINS_AT_ONCE, rebalanceBytes = REBALANCE_BYTES } = options;
  const { clock, logger } = ports;
  const busy = new Set<number>();
  const repairHistory = new RepairHistory(clock);
  const moves = new Moves(repository, clock, { rebalance, rebalanceBytes });
  const joins = new Joins(clock, joinsAtOnce);
  let lookout: Lookout | undefined;

  /** One thing at a time is done about a log stream. */
  const attend = (id: number, what: string, work: () => Promise<void>): void => {
    if (busy.has(id)) return;
    busy.add(id);
    work()
      .catch((error: unknown) => {
        logger.log('warn', `${what} failed`, { logStream: id, error: String(error) });
      })
      .finally(() => busy.delete(id));
  };

  const repair = async (
    stream: LogStreamState,
    action: Repair,
    replicas: Replicas,
  ): Promise<void> => {
    const { id, epoch } = stream;
    logger.log('info', `${action.kind} log stream`, { logStream: id, epoch, ...action });
    await carryOutRepair(repository, stream, action);
    if (action.kind === 'seal') repairHistory.sealed(stream, epoch, action, replicas);
  };

  /** Returns whether all is well. */
  const look = (orderer: Orderer): boolean => {
    const context = repairContext(repository, orderer, repairHistory);
    const { logStreams } = repository.metadata;
    repairHistory.observe(logStreams, context);
    joins.observe(logStreams);
    let begun = 0;
    for (const stream of logStreams.values()) {
      const action = busy.has(stream.id) ? undefined : repairOf(stream, context);
      if (action === undefined) continue;
      const isJoin = action.kind === 'seal' && action.learner !== undefined;
      if (isJoin && !joins.hasRoom) continue;
      if (begun === BEGUN_PER_LOOK) {
        lookout?.soon();
        break;
      }
      if (isJoin) joins.begin(stream);
      begun++;
      attend(stream.id, 'repair', () => repair(stream, action, context));
    }
    const known = {
      ...context,
      isAtRest: (it: LogStreamState) => isAtRest(it, context),
      isBusy: busy.size > 0,
    };
    const isInPlace = moves.look(placementView(repository.metadata, orderer), known, {
      move: (it) => attend(it.id, 'move', () => carryOutMove(repository, it, logger)),
      handOver: (stream, learner, why) =>
        attend(stream.id, 'handover', () =>
          repair(stream, { kind: 'seal', why, learner }, context),
        ),
    });
    return (
      isInPlace && busy.size === 0 && [...logStreams.values()].every((it) => isAtRest(it, context))
    );
  };
  const leading = repository.orderer$.subscribe((orderer) => {
    lookout?.stop();
    repairHistory.clear();
    moves.clear();
    joins.clear();
    if (orderer === undefined) return;
    const own = new Lookout(clock, () => look(orderer));
    lookout = own;
    // Ends with the leadership.
    orderer.repairTriggers$.subscribe(() => own.soon());
  });

  return {
    handlers: repository.identified(clusterManagerHandlers(repository, ports, replicationFactor)),
    close: async () => {
      leading.unsubscribe();
      lookout?.stop();
    },
  };
}

async function carryOutRepair(
  repository: MetadataRepository,
  { id, epoch, revision }: LogStreamState,
  action: Repair,
): Promise<void> {
  const by = `the repair of member ${repository.options.memberId}`;
  if (action.kind === 'seal') {
    await repository.changes.seal(id, false, { revision, by });
    return;
  }
  const { members } = action;
  const disks = members.map((it) => repository.metadata.storageNodes.get(it)?.disk ?? '');
  const primaryProcess = repository.orderer?.processOf(members[0]!) ?? '';
  const opening = { id, epoch: epoch + 1, members, disks, primaryProcess, revision, by };
  await repository.execute({ kind: 'unseal', ...opening }, { sender: 'leader' });
}

function repairContext(
  { metadata }: MetadataRepository,
  orderer: Orderer,
  repairHistory: RepairHistory,
): RepairContext & Replicas {
  return {
    metadata,
    unheardForMs: (node) => orderer.unheardForMs(node),
    report: (id, node) => orderer.planner.reportOf(id, node),
    processOf: (node) => orderer.processOf(node),
    stuckPart: (id) => orderer.planner.stuckPart(id),
    stuckFor: (stream) => repairHistory.stuckFor(stream),
    settledFor: (stream) => repairHistory.settledFor(stream),
    mayJoin: (stream, node) => repairHistory.mayJoin(stream, node),
    lag: (stream, report) => repairHistory.lag(stream, report),
    inOrder: (stream, nodes) => repairHistory.inOrder(stream, nodes),
  };
}
