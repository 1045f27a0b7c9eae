import type { Handler, Ports } from '../../base/index.ts';
import type { Leadership, MetadataRepository } from '../metadata-repository/index.ts';
import { clusterManagerHandlers } from './cluster-manager.ts';
import { Lookout } from './lookout.ts';
import { isAtRest, repairOf, type Surroundings } from './repair.ts';
import { type Replicas, Steadiness } from './steadiness.ts';

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
  const steadiness = new Steadiness(clock);
  let lookout: Lookout | undefined;

  const repair = async (id: number, around: Surroundings & Replicas): Promise<void> => {
    const stream = repository.metadata.logStreams.get(id);
    const action = stream === undefined ? undefined : repairOf(stream, around);
    if (stream === undefined || action === undefined) return;
    const { epoch, revision } = stream;
    const by = `the repair of member ${repository.options.memberId}`;
    logger.log('info', `${action.kind} log stream`, { logStream: id, epoch, ...action });
    if (action.kind === 'seal') {
      await repository.changes.seal(id, false, { revision, by });
      steadiness.sealed(stream, epoch, action, around);
    } else {
      const { members } = action;
      const disks = members.map((it) => repository.metadata.storageNodes.get(it)?.disk ?? '');
      const primaryProcess = repository.leadership?.processOf(members[0]!) ?? '';
      // Its session is broken just now: it is asked again when it is back, or lost.
      if (primaryProcess === '') return;
      const opening = { id, epoch: epoch + 1, members, disks, primaryProcess, revision, by };
      await repository.execute({ kind: 'unseal', ...opening }, { sender: 'leader' });
    }
  };

  /** Returns whether all is well. */
  const look = (leadership: Leadership): boolean => {
    const around = surroundings(repository, leadership, steadiness);
    steadiness.observe(repository.metadata.logStreams, around);
    for (const id of repository.metadata.logStreams.keys()) {
      if (busy.has(id)) continue;
      busy.add(id);
      repair(id, around)
        .catch((error: unknown) => {
          logger.log('warn', 'repair failed', { logStream: id, error: String(error) });
        })
        .finally(() => busy.delete(id));
    }
    return [...repository.metadata.logStreams.values()].every((it) => isAtRest(it, around));
  };
  const leading = repository.leadership$.subscribe((leadership) => {
    lookout?.stop();
    steadiness.clear();
    if (leadership === undefined) return;
    const own = new Lookout(clock, () => look(leadership));
    lookout = own;
    // Ends with the leadership.
    leadership.unrest$.subscribe(() => own.soon());
  });

  return {
    handlers: repository.identified(clusterManagerHandlers(repository, ports, replicationFactor)),
    close: async () => {
      leading.unsubscribe();
      lookout?.stop();
    },
  };
}

function surroundings(
  { metadata }: MetadataRepository,
  leadership: Leadership,
  steadiness: Steadiness,
): Surroundings & Replicas {
  return {
    metadata,
    silence: (node) => leadership.silence(node),
    report: (id, node) => leadership.planner.reportOf(id, node),
    processOf: (node) => leadership.processOf(node),
    settledFor: (stream) => steadiness.settledFor(stream),
    mayJoin: (stream, node) => steadiness.mayJoin(stream, node),
    lag: (stream, report) => steadiness.lag(stream, report),
    inOrder: (stream, nodes) => steadiness.inOrder(stream, nodes),
  };
}
