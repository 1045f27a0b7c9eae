import type { Stretch } from '../../store/index.ts';
import { UsagePart, UsageResponse } from '../../wire/gen/log.ts';
import type { LogStreamReplica } from './replica.ts';
import { assertServes } from './serve.ts';

/** Of a log with more stretches, several are told as one. */
const PARTS_MAX = 512;

/** Serves `LogStreams.Usage`: what of a log stream this replica stores, in the parts in which it is freed. */
export async function serveUsage(replica: LogStreamReplica): Promise<UsageResponse> {
  assertServes(replica);
  const { storage, core, watermark, host } = replica;
  // Taken before the files are asked: all that is vouched for is in what they then hold.
  const { committedEnd } = core;
  const stretches = gathered(await replica.reading(() => storage.records.stretches()));
  const { first } = storage.records;
  forgetBelow(replica, first);
  const now = host.ports.clock.wall();
  const parts: UsagePart[] = [];
  for (const [i, stretch] of stretches.entries()) {
    const next = stretches[i + 1];
    const begin = Math.max(first, stretch.first);
    const end = next === undefined ? storage.records.end : next.first - 1;
    if (begin > Math.min(end, committedEnd)) continue;
    const glsn = await glsnOf(replica, begin);
    if (glsn === undefined) continue;
    const share = (end + 1 - begin) / (end + 1 - stretch.first);
    const youngest = takenUntil(stretches, i, storage.time.latest);
    parts.push(
      UsagePart.create({
        glsn,
        bytes: Math.floor(stretch.bytes * share),
        ageMs: youngest === 0 ? 0 : Math.max(0, Math.floor(now - youngest)),
        cut: begin > stretch.first,
      }),
    );
  }
  assertServes(replica);
  return UsageResponse.create({ parts, highWatermark: watermark });
}

/**
 * No batch of stretch `index` has a later timestamp: that of the first batch behind it, which the next file need not have, as one
 * that is empty yet; or else `latest`, that of all. 0: not known.
 */
export function takenUntil(stretches: readonly Stretch[], index: number, latest: number): number {
  const later = stretches.slice(index + 1).find(({ since }) => since > 0);
  return later?.since ?? latest;
}

/** `undefined`: it was trimmed meanwhile. */
async function glsnOf(replica: LogStreamReplica, llsn: number): Promise<number | undefined> {
  const known = replica.partBegins.get(llsn);
  if (known !== undefined) return known;
  const commit = await replica.reading(() => replica.storage.commits.findByLlsn(llsn));
  if (commit === undefined || commit.llsn > llsn) return undefined;
  const glsn = commit.glsn + llsn - commit.llsn;
  replica.partBegins.set(llsn, glsn);
  return glsn;
}

/** What was trimmed is not asked for again. */
function forgetBelow({ partBegins }: LogStreamReplica, first: number): void {
  for (const llsn of partBegins.keys()) if (llsn < first) partBegins.delete(llsn);
}

/** At most {@link PARTS_MAX} stretches, each of as many neighbours as it takes. */
function gathered(stretches: readonly Stretch[]): Stretch[] {
  const each = Math.ceil(stretches.length / PARTS_MAX);
  if (each <= 1) return [...stretches];
  const found: Stretch[] = [];
  for (let i = 0; i < stretches.length; i += each) {
    const some = stretches.slice(i, i + each);
    found.push({ ...some[0]!, bytes: some.reduce((sum, it) => sum + it.bytes, 0) });
  }
  return found;
}
