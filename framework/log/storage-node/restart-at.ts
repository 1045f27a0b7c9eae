import type { FetchResponse } from '../../wire/gen/log.ts';
import { unlessFull } from './full-disk.ts';
import type { LogStreamReplica } from './replica.ts';
import { dropHead } from './trim.ts';

/**
 * A source has nothing before LLSN `firstLlsn` any more, and no commit before that of the response: begins anew
 * there. Resolves when that is durable, or with nothing changed when there is no room on the disk.
 *
 * - Records of its own after that which are durable MUST stay: they may be all that makes a majority. It MUST NOT wait for
 *   others to become so: on a full disk that may take for ever, and they come again.
 * - A crash at any point MUST leave a log that asks for what it lacks.
 * - Commits that come meanwhile MAY be dropped: they are known to exist, and come again.
 */
export function restartAt(
  replica: LogStreamReplica,
  { firstLlsn, firstGlsn, commits: [commit], producers: theirs }: FetchResponse,
  signal: AbortSignal,
): Promise<void> {
  return replica.turns.run(async () => {
    if (signal.aborted) return;
    const { core } = replica;
    const { records, commits, producers, parts } = replica.storage;
    const version = commit?.version ?? 1;
    const begin = Math.max(firstLlsn, records.first);
    const keeps = begin - 1 <= records.durableEnd;
    replica.restarting = true;
    // First of all: of what is dropped then, nothing else is left. Without room for it, it is asked for again.
    const isSaved = await unlessFull(replica, () =>
      producers.takeOver(theirs ?? undefined, begin - 1),
    );
    if (!isSaved) {
      replica.restarting = false;
      return;
    }
    // In this order: between the two, a crash leaves a log that asks again.
    await (keeps ? records.trimHead(begin) : records.reset(begin));
    await commits.reset(version);
    core.restartAt({
      end: records.end,
      durableEnd: records.durableEnd,
      committedEnd: begin - 1,
      version: version - 1,
    });
    if (!keeps) {
      producers.cut(begin - 1);
      parts.cut(begin - 1);
    }
    parts.ordered(begin - 1);
    replica.restarting = false;
    replica.inbox.expect(0);
    await dropHead(replica, Math.max(replica.head.trimmed, firstGlsn - 1));
  });
}
