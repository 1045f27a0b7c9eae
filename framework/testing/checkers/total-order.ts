/** An append as its client saw it. Times are of one clock, common to all clients. */
export interface AppendRecord {
  /** Contents of the records of the batch; each must occur in one append only. */
  readonly values: readonly string[];
  readonly sentMs: number;
  readonly outcome:
    | { readonly kind: 'ok'; readonly ackMs: number; readonly glsn: number }
    | { readonly kind: 'notAppended' | 'unknown' };
}

/** A record as a reader saw it. */
export interface ReadRecord {
  readonly glsn: number;
  readonly logStream: number;
  readonly llsn: number;
  readonly value: string;
}

/**
 * Checks what clients saw of one topic, of which nothing was trimmed; returns what is wrong, at best
 * nothing. `reads` holds what each reader saw, in its order; the first must have read all of it.
 *
 * - readers agree, each in ascending order; GLSNs are dense from 1, LLSNs dense in each log stream;
 * - what was acknowledged is readable at its position, what failed for certain is not readable, and
 *   everything readable was sent, and is there once;
 * - a batch is contiguous in GLSN and LLSN, in one log stream;
 * - an append that was sent after another was acknowledged has the larger GLSN.
 */
export function checkTotalOrder(
  appends: readonly AppendRecord[],
  reads: readonly (readonly ReadRecord[])[],
): string[] {
  const problems: string[] = [];
  const all = reads[0] ?? [];
  const places = new Map<string, ReadRecord>();
  const streams = new Map<number, number>();
  all.forEach((record, i) => {
    const { glsn, logStream, llsn, value } = record;
    if (glsn !== i + 1) problems.push(`GLSN ${glsn} stands where ${i + 1} belongs`);
    const llsnDue = (streams.get(logStream) ?? 0) + 1;
    if (llsn !== llsnDue)
      problems.push(`log stream ${logStream}: LLSN ${llsn} after ${llsnDue - 1}`);
    streams.set(logStream, llsn);
    if (places.has(value)) problems.push(`"${value}" is there twice, again at GLSN ${glsn}`);
    else places.set(value, record);
  });
  checkReaders(all, reads.slice(1), problems);
  checkAppends(appends, places, problems);
  checkRealTime(appends, problems);
  return problems;
}

function checkReaders(
  all: readonly ReadRecord[],
  others: readonly (readonly ReadRecord[])[],
  problems: string[],
): void {
  const byGlsn = new Map(all.map((it) => [it.glsn, it]));
  others.forEach((records, reader) => {
    let last = 0;
    for (const { glsn, logStream, llsn, value } of records) {
      const known = byGlsn.get(glsn);
      if (glsn <= last) problems.push(`reader ${reader + 1} saw GLSN ${glsn} after ${last}`);
      last = glsn;
      if (known?.value !== value || known.logStream !== logStream || known.llsn !== llsn) {
        problems.push(`reader ${reader + 1} saw another record at GLSN ${glsn}: "${value}"`);
      }
    }
  });
}

function checkAppends(
  appends: readonly AppendRecord[],
  places: ReadonlyMap<string, ReadRecord>,
  problems: string[],
): void {
  const sent = new Set<string>();
  for (const { values, outcome } of appends) {
    const found = values.map((it) => places.get(it));
    for (const value of values) sent.add(value);
    const first = found[0];
    const present = found.filter((it) => it !== undefined).length;
    const name = `append of "${values[0]}"`;
    if (outcome.kind === 'ok' && first?.glsn !== outcome.glsn) {
      problems.push(`${name} was acknowledged at GLSN ${outcome.glsn}, but is at ${first?.glsn}`);
    }
    if (outcome.kind === 'notAppended' && present > 0)
      problems.push(`${name} failed, but is there`);
    if (present > 0 && present < values.length) problems.push(`${name} is there only in part`);
    found.forEach((it, i) => {
      if (it === undefined || first === undefined) return;
      const beside = it.glsn === first.glsn + i && it.llsn === first.llsn + i;
      if (!beside || it.logStream !== first.logStream) problems.push(`${name} is not contiguous`);
    });
  }
  for (const [value, { glsn }] of places) {
    if (!sent.has(value)) problems.push(`"${value}" at GLSN ${glsn} was never sent`);
  }
}

/** Sweeps over time: whatever is sent after an acknowledgement lies above it. */
function checkRealTime(appends: readonly AppendRecord[], problems: string[]): void {
  const acked: { sentMs: number; ackMs: number; glsn: number }[] = [];
  for (const { sentMs, outcome } of appends) {
    if (outcome.kind === 'ok') acked.push({ sentMs, ...outcome });
  }
  const bySent = [...acked].sort((a, b) => a.sentMs - b.sentMs);
  const byAck = [...acked].sort((a, b) => a.ackMs - b.ackMs);
  let floor = 0;
  let next = 0;
  for (const { sentMs, glsn } of bySent) {
    while (next < byAck.length && byAck[next]!.ackMs < sentMs) {
      floor = Math.max(floor, byAck[next++]!.glsn);
    }
    if (glsn <= floor) problems.push(`GLSN ${glsn} was sent after GLSN ${floor} was acknowledged`);
  }
}
