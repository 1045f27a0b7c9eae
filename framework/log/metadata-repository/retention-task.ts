import { type Timer, VarlogError } from '../../base/index.ts';
import { LogStreams, UsageRequest } from '../../wire/gen/log.ts';
import { ChannelPool } from '../channel-pool.ts';
import { expiredUpTo, holdsOf, isLimited, type StoredLogStream } from '../core/index.ts';
import type { Orderer } from './orderer.ts';
import type { RepositoryAccess } from './repository-access.ts';

/** So often the leader looks whether topics have more than they are to keep. */
const LOOK_EVERY_MS = 10_000;
/** A replica that does not answer for so long is passed over. */
const CALL_TIMEOUT_MS = 1_000;

/**
 * What the leader does for the retention of topics: asks replicas how much they store of each log stream and how old
 * that is, and has the rest trimmed, as far as nobody holds it. It knows nothing that its successor would miss, and
 * what it finds out too late is trimmed the next time.
 */
export class RetentionTask {
  private readonly repository: RepositoryAccess;
  private orderer: Orderer | undefined;
  private timer: Timer | undefined;

  constructor(repository: RepositoryAccess) {
    this.repository = repository;
    repository.orderer$.subscribe((orderer) => {
      this.timer?.cancel();
      this.orderer = orderer;
      if (orderer !== undefined) this.lookSoon(orderer);
    });
  }

  private lookSoon(orderer: Orderer): void {
    const { clock } = this.repository.options.ports;
    this.timer = clock.after(LOOK_EVERY_MS, () => void this.look(orderer));
  }

  private async look(orderer: Orderer): Promise<void> {
    const { topics } = this.repository.metadata;
    try {
      const limited = [...topics.values()].filter((it) => isLimited(it.retention));
      // So that no limit counts that was lifted since.
      if (limited.length > 0) await this.repository.confirmedOrderer();
      for (const { id } of limited) {
        // What keeps one topic from being trimmed keeps no other one.
        if (this.orderer === orderer) await this.attend(id).catch((error) => this.waits(error, id));
      }
    } catch (error) {
      this.waits(error);
    }
    if (this.orderer === orderer) this.lookSoon(orderer);
  }

  /** It is looked at again. Throws what is a fault of this program. */
  private waits(error: unknown, topic?: number): void {
    if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
    const { logger } = this.repository.options.ports;
    logger.log('debug', 'retention waits', { error: error.message, topic });
  }

  private async attend(topicId: number): Promise<void> {
    const { repository } = this;
    const { topics } = repository.metadata;
    const stored = await this.storedOf(topics.get(topicId)?.logStreams ?? []);
    // As it is by now.
    const topic = topics.get(topicId);
    if (topic === undefined) return;
    const held = Math.min(...holdsOf(topic).map(({ position }) => position));
    const glsn = Math.min(expiredUpTo(topic.retention, stored), held);
    if (glsn <= topic.trimmed) return;
    try {
      await repository.execute({ kind: 'trim', topicId, glsn }, { sender: 'leader' });
      repository.options.ports.logger.log('info', 'trimmed by retention', { topicId, glsn });
    } catch (error) {
      // Somebody holds it since just now.
      if (!VarlogError.is(error, 'FAILED_PRECONDITION')) throw error;
    }
  }

  /** In the order of the ids; `undefined` where no replica answers. */
  private async storedOf(
    logStreamIds: readonly number[],
  ): Promise<(StoredLogStream | undefined)[]> {
    const { network } = this.repository.options.ports;
    const channels = new ChannelPool(network, () => this.repository.cluster);
    try {
      return await Promise.all(logStreamIds.map((it) => this.ask(it, channels)));
    } finally {
      channels.close();
    }
  }

  /** The primary, or another replica where that does not answer. */
  private async ask(
    logStreamId: number,
    channels: ChannelPool,
  ): Promise<StoredLogStream | undefined> {
    const stream = this.repository.metadata.logStreams.get(logStreamId);
    if (stream === undefined) return undefined;
    const { topicId, members, replicas } = stream;
    const request = UsageRequest.create({ topicId, logStreamId });
    for (const node of new Set([...members, ...replicas])) {
      const address = this.repository.metadata.storageNodes.get(node)?.address;
      if (address === undefined) continue;
      try {
        const limits = { timeoutMs: CALL_TIMEOUT_MS };
        return await channels.to(address).call(LogStreams.Usage, request, limits);
      } catch (error) {
        if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
      }
    }
    return undefined;
  }
}
