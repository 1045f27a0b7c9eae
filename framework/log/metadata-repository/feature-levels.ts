import { type MemberId, type Timer, VarlogError } from '../../base/index.ts';
import { MembersRequest, Ordering } from '../../wire/gen/log.ts';
import type { Orderer } from './orderer.ts';
import type { RepositoryAccess } from './repository-access.ts';

/** While members support more than what is agreed on, the leader asks them so often whether all do. */
const LOOK_EVERY_MS = 1_000;
const CALL_TIMEOUT_MS = 1_000;

/** A member that keeps the cluster below a feature level. */
interface Laggard {
  readonly id: MemberId;
  /** What it supports, 0 for a version that knows of no levels; `undefined`: it does not answer. */
  readonly supportedLevel: number | undefined;
}

/**
 * The agreement on a feature level: the leader raises it once every member of the Raft group has said that it
 * supports a higher one. So a command that came with a level is in the log only where all members know it, also
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
    const details = { level, featureLevel, members: laggards.map(({ id }) => id) };
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
      because: `of the metadata repository, ${laggards.map(reasonOf).join(', ')}`,
      next: 'upgrade and start those members: the leader raises the level by itself once all support it',
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
    const to = Math.min(supportedLevel, ...laggards.map((it) => it.supportedLevel ?? 0));
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

  /** The members of the Raft group that do not support `level`, or do not answer. */
  private async below(level: number): Promise<Laggard[]> {
    const { status, options, metadata } = this.repository;
    const { voters, learners } = status;
    const all = await Promise.all(
      [...voters, ...learners].map(async (id): Promise<Laggard> => {
        const isSelf = id === options.memberId;
        return { id, supportedLevel: isSelf ? metadata.supportedLevel : await this.askMember(id) };
      }),
    );
    return all.filter((it) => (it.supportedLevel ?? 0) < level);
  }

  private async askMember(id: MemberId): Promise<number | undefined> {
    const { options, members } = this.repository;
    const member = members.find((it) => it.id === id);
    if (member === undefined) return undefined;
    const channel = options.ports.network.connect(member.address, {
      cluster: () => this.repository.cluster,
    });
    try {
      const limits = { timeoutMs: CALL_TIMEOUT_MS };
      const answer = await channel.call(Ordering.Members, MembersRequest.create({}), limits);
      return answer.supportedLevel;
    } catch {
      return undefined;
    } finally {
      channel.close();
    }
  }
}

function reasonOf({ id, supportedLevel }: Laggard): string {
  if (supportedLevel === undefined) return `member ${id} does not answer`;
  return `member ${id} supports level ${supportedLevel}`;
}
