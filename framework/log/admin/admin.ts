import type { Handler, Ports } from '../../base/index.ts';
import type { LogStreamState } from '../core/index.ts';
import type { MetadataRepository, Orderer } from '../metadata-repository/index.ts';
import { clusterManagerHandlers } from './cluster-manager.ts';
import { Lookout } from './lookout.ts';
import { isAtRest, type Repair, type RepairContext, repairOf } from './repair.ts';
import { RepairHistory, type Replicas } from './repair-history.ts';

export interface AdminOptions {
  ports: Ports;
  /** The member that it runs beside. */
  repository: MetadataRepository;
  /** Replicas of a new log stream where the caller names none. */
  replicationFactor: number;
}

/** Keeps log streams writable and whole. One runs beside every member, the leader's acts. */
export interface Admin {
  /** The published service `varlog.admpb.ClusterManager`. */
  readonly handlers: readonly Handler[];
  close(): Promise<void>;
}

/** Starts to look after the cluster. It keeps no state of its own: everything is in the repository. */
export function startAdmin({ ports, repository, replicationFactor }: AdminOptions): Admin {
  const { clock, logger } = ports;
  const busy = new Set<number>();
  const repairHistory = new RepairHistory(clock);
  let lookout: Lookout | undefined;

  const repair = async (
    stream: LogStreamState,
    action: Repair,
    context: RepairContext & Replicas,
  ): Promise<void> => {
    const { id, epoch, revision } = stream;
    const by = `the repair of member ${repository.options.memberId}`;
    logger.log('info', `${action.kind} log stream`, { logStream: id, epoch, ...action });
    if (action.kind === 'seal') {
      await repository.changes.seal(id, false, { revision, by });
      repairHistory.sealed(stream, epoch, action, context);
    } else {
      const { members } = action;
      const disks = members.map((it) => repository.metadata.storageNodes.get(it)?.disk ?? '');
      const primaryProcess = repository.orderer?.processOf(members[0]!) ?? '';
      // Its link is broken just now: it is asked again when it is back, or lost.
      if (primaryProcess === '') return;
      const opening = { id, epoch: epoch + 1, members, disks, primaryProcess, revision, by };
      await repository.execute({ kind: 'unseal', ...opening }, { sender: 'leader' });
    }
  };

  /** Returns whether all is well. */
  const look = (orderer: Orderer): boolean => {
    const context = repairContext(repository, orderer, repairHistory);
    const { logStreams } = repository.metadata;
    repairHistory.observe(logStreams, context);
    for (const [id, stream] of logStreams) {
      const action = busy.has(id) ? undefined : repairOf(stream, context);
      if (action === undefined) continue;
      busy.add(id);
      repair(stream, action, context)
        .catch((error: unknown) => {
          logger.log('warn', 'repair failed', { logStream: id, error: String(error) });
        })
        .finally(() => busy.delete(id));
    }
    return [...logStreams.values()].every((it) => isAtRest(it, context));
  };
  const leading = repository.orderer$.subscribe((orderer) => {
    lookout?.stop();
    repairHistory.clear();
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
    settledFor: (stream) => repairHistory.settledFor(stream),
    mayJoin: (stream, node) => repairHistory.mayJoin(stream, node),
    lag: (stream, report) => repairHistory.lag(stream, report),
    inOrder: (stream, nodes) => repairHistory.inOrder(stream, nodes),
  };
}
