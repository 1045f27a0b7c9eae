import type { Clock, Handler, Logger, Ports, Timer } from '../../base/index.ts';
import type { Leadership, MetadataRepository } from '../metadata-repository/index.ts';
import { clusterManagerHandlers } from './cluster-manager.ts';
import { isAtRest, repairOf, type Surroundings } from './repair.ts';
import { type Replicas, Steadiness } from './steadiness.ts';

/** How often the state of the cluster is looked at while not all of it is as it should be. */
const LOOK_EVERY_MS = 100;
/** And while it is: whatever changes that is told. */
const LOOK_AT_REST_MS = 1_000;
/** What changes together is looked at together. */
const GATHER_MS = 10;

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
  const alarm = new Alarm(clock);

  const look = (leadership: Leadership): void => {
    const around: Surroundings & Replicas = {
      metadata: repository.metadata,
      silence: (node) => leadership.silence(node),
      report: (id, node) => leadership.planner.reportOf(id, node),
      processOf: (node) => leadership.processOf(node),
      settledFor: (stream) => steadiness.settledFor(stream),
      mayJoin: (stream, node) => steadiness.mayJoin(stream, node),
      lag: (stream, report) => steadiness.lag(stream, report),
      inOrder: (stream, nodes) => steadiness.inOrder(stream, nodes),
    };
    steadiness.observe(repository.metadata.logStreams, around);
    for (const id of repository.metadata.logStreams.keys()) {
      if (busy.has(id)) continue;
      busy.add(id);
      repair(id, { repository, logger, steadiness }, around)
        .catch((error: unknown) => {
          logger.log('warn', 'repair failed', { logStream: id, error: String(error) });
        })
        .finally(() => busy.delete(id));
    }
    const rests = [...repository.metadata.logStreams.values()].every((it) => isAtRest(it, around));
    alarm.within(rests ? LOOK_AT_REST_MS : LOOK_EVERY_MS, () => look(leadership));
  };
  const leading = repository.leadership$.subscribe((leadership) => {
    alarm.cancel();
    steadiness.clear();
    if (leadership === undefined) return;
    const lookSoon = (): void => alarm.within(GATHER_MS, () => look(leadership));
    lookSoon();
    // Ends with the leadership.
    leadership.unrest$.subscribe(lookSoon);
  });

  return {
    handlers: repository.identified(clusterManagerHandlers(repository, ports, replicationFactor)),
    close: async () => {
      leading.unsubscribe();
      alarm.close();
    },
  };
}

/** Does what one log stream needs now, if anything. */
async function repair(
  id: number,
  given: { repository: MetadataRepository; logger: Logger; steadiness: Steadiness },
  around: Surroundings & Replicas,
): Promise<void> {
  const { repository, logger, steadiness } = given;
  const { metadata, leadership } = repository;
  const stream = metadata.logStreams.get(id);
  const action = stream === undefined ? undefined : repairOf(stream, around);
  if (stream === undefined || action === undefined) return;
  const { epoch, revision } = stream;
  const by = `the repair of member ${repository.options.memberId}`;
  logger.log('info', `${action.kind} log stream`, { logStream: id, epoch, ...action });
  if (action.kind === 'seal') {
    await repository.changes.seal(id, false, { revision, by });
    steadiness.sealed(stream, epoch, action, around);
    return;
  }
  const { members } = action;
  const disks = members.map((it) => metadata.storageNodes.get(it)?.disk ?? '');
  const primaryProcess = leadership?.processOf(members[0]!) ?? '';
  // Its session is broken just now: it is asked again when it is back, or lost.
  if (primaryProcess === '') return;
  const opening = { id, epoch: epoch + 1, members, disks, primaryProcess, revision, by };
  await repository.execute({ kind: 'unseal', ...opening }, { sender: 'leader' });
}

/** A timer that is only ever brought forward. */
class Alarm {
  private readonly clock: Clock;
  private timer: Timer | undefined;
  private ringsAt = 0;
  private closed = false;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Rings in `ms`, unless it is to ring sooner anyway. */
  within(ms: number, ring: () => void): void {
    const at = this.clock.now() + ms;
    if (this.closed || (this.timer !== undefined && this.ringsAt <= at)) return;
    this.timer?.cancel();
    this.ringsAt = at;
    this.timer = this.clock.after(ms, () => {
      this.timer = undefined;
      ring();
    });
  }

  cancel(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  close(): void {
    this.closed = true;
    this.cancel();
  }
}
