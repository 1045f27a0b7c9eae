import {
  callOnce,
  type MemberId,
  type StorageNodeId,
  type Timer,
  type UnaryMethod,
  VarlogError,
} from '../../base/index.ts';
import { HealthRequest, MembersRequest, Ordering } from '../../wire/gen/log.ts';
import { STORAGE_NODES_AGREE_FROM } from '../core/index.ts';
import type { Orderer } from './orderer.ts';
import type { RepositoryAccess } from './repository-access.ts';

/** While members support more than what is agreed on, the leader asks them so often whether all do. */
const LOOK_EVERY_MS = 1_000;
const CALL_TIMEOUT_MS = 1_000;

/** A member or a storage node that keeps the cluster below a feature level. */
interface Laggard {
  readonly kind: 'member' | 'storage node';
  readonly id: MemberId | StorageNodeId;
  /** What it supports, 0 for a version that knows of no levels; `undefined`: it does not answer. */
  readonly supportedLevel: number | undefined;
}

/**
 * The agreement on a feature level: the leader raises it once every member of the Raft group, and from level
 * {@link STORAGE_NODES_AGREE_FROM} on every storage node, has said that it supports a higher one. So a command that came with a level is in the log only where all members know it, also
 * while the members are upgraded one after the other. It never falls: a member of an older version, started
 * afterwards, stops with `APPLY_FAILED`.
 */
export class FeatureLevels {
  private readonly repository: RepositoryAccess;
  private timer: Timer | undefined;
  private orderer: Orderer | undefined;
  /** The last reason for which the level was not raised, so that it is logged once. */
  private lastLogged = '';

  constructor(repository: RepositoryAccess) {
    this.repository = repository;
    repository.orderer$.subscribe((orderer) => {
      this.timer?.cancel();
      this.orderer = orderer;
      this.lastLogged = '';
      if (orderer !== undefined) void this.look(orderer);
    });
  }

  /** Why a command of `level` cannot be proposed yet, and which members have to be upgraded first. */
  async notAgreed(what: string, level: number): Promise<VarlogError> {
    const { featureLevel } = this.repository.metadata;
    const laggards = await this.below(level);
    const idsOf = (kind: Laggard['kind']): number[] =>
      laggards.filter((it) => it.kind === kind).map(({ id }) => id);
    const behind = { members: idsOf('member'), storageNodes: idsOf('storage node') };
    const details = { level, featureLevel, ...behind };
    const outcome = 'notAppended' as const;
    if (laggards.length === 0) {
      return new VarlogError('UNAVAILABLE', {
        what: `"${what}" takes feature level ${level}, and the cluster is about to agree on it`,
        next: 'try again in a second',
        details,
        outcome,
      });
    }
    return new VarlogError('FAILED_PRECONDITION', {
      what: `"${what}" takes feature level ${level}, and the cluster has agreed on ${featureLevel}`,
      because: laggards.map(reasonOf).join(', '),
      next: 'upgrade and start those: the leader raises the level by itself once all support it',
      details,
      outcome,
    });
  }

  private async look(orderer: Orderer): Promise<void> {
    const { clock, logger } = this.repository.options.ports;
    try {
      if (await this.raise()) return;
    } catch (error) {
      // It leads no more, or will succeed another time.
      logger.log('debug', 'feature level not raised', { error: String(error) });
    }
    if (this.orderer !== orderer) return;
    this.timer = clock.after(LOOK_EVERY_MS, () => void this.look(orderer));
  }

  /** Whether the level is as high as this member supports. */
  private async raise(): Promise<boolean> {
    const { repository } = this;
    await repository.confirmedOrderer();
    const { metadata, options } = repository;
    const { supportedLevel } = metadata;
    if (metadata.featureLevel >= supportedLevel) return true;
    const laggards = await this.below(supportedLevel);
    const to = Math.min(supportedLevel, ...laggards.map(agreesTo));
    if (to > metadata.featureLevel) {
      await repository.execute({ kind: 'raiseFeatureLevel', to }, { sender: 'leader' });
      options.ports.logger.log('info', 'feature level raised', { to });
    }
    this.logLaggards(laggards);
    return to === supportedLevel;
  }

  private logLaggards(laggards: readonly Laggard[]): void {
    const { metadata, options } = this.repository;
    const why = laggards.map(reasonOf).join(', ');
    if (why === this.lastLogged) return;
    this.lastLogged = why;
    if (why === '') return;
    const { featureLevel, supportedLevel } = metadata;
    options.ports.logger.log('info', 'feature level waits', { featureLevel, supportedLevel, why });
  }

  /** Those whom the agreement takes and who do not support `level`, or do not answer. */
  private async below(level: number): Promise<Laggard[]> {
    const { status, options, metadata } = this.repository;
    const { voters, learners } = status;
    const all = await Promise.all(
      [...voters, ...learners].map(async (id): Promise<Laggard> => {
        const isSelf = id === options.memberId;
        const own = isSelf ? metadata.supportedLevel : await this.askMember(id);
        return { kind: 'member', id, supportedLevel: own };
      }),
    );
    const nodes = level < STORAGE_NODES_AGREE_FROM ? [] : await this.storageNodes();
    return [...all, ...nodes].filter((it) => agreesTo(it) < level);
  }

  /** What storage nodes have told the leader. */
  private async storageNodes(): Promise<Laggard[]> {
    const { orderer, metadata, status } = this.repository;
    const { leader } = status;
    const told =
      orderer !== undefined || leader === undefined
        ? [...metadata.storageNodes.values()].map(({ id }) => {
            return { storageNodeId: id, supportedLevel: orderer?.supportedLevelOf(id) ?? 0 };
          })
        : await this.ask(leader.address, Ordering.Health, HealthRequest.create({})).then(
            (it) => it?.storageNodes ?? [],
          );
    return told.map(({ storageNodeId: id, supportedLevel }) => {
      const known = supportedLevel === 0 ? undefined : supportedLevel;
      return { kind: 'storage node', id, supportedLevel: known };
    });
  }

  private async askMember(id: MemberId): Promise<number | undefined> {
    const { members } = this.repository;
    const member = members.find((it) => it.id === id);
    if (member === undefined) return undefined;
    const answer = await this.ask(member.address, Ordering.Members, MembersRequest.create({}));
    return answer?.supportedLevel;
  }

  private ask<Request, Response>(
    address: string,
    method: UnaryMethod<Request, Response>,
    request: Request,
  ): Promise<Response | undefined> {
    const { options } = this.repository;
    const cluster = (): string | undefined => this.repository.cluster;
    const limits = { cluster, timeoutMs: CALL_TIMEOUT_MS };
    return callOnce(options.ports.network, address, method, request, limits).catch(() => undefined);
  }
}

/** The highest level to which the cluster may go with it. */
function agreesTo({ kind, supportedLevel = 0 }: Laggard): number {
  return kind === 'member'
    ? supportedLevel
    : Math.max(supportedLevel, STORAGE_NODES_AGREE_FROM - 1);
}

function reasonOf({ kind, id, supportedLevel }: Laggard): string {
  const who = kind === 'member' ? `member ${id} of the metadata repository` : `storage node ${id}`;
  if (supportedLevel !== undefined) return `${who} supports level ${supportedLevel}`;
  return kind === 'member'
    ? `${who} does not answer`
    : `${who} is not connected, or of a version that does not say what it supports`;
}
