import { inTime, type OrderedLog, type Ports, VarlogError } from '../base/index.ts';
import { ATTEMPT_TIMEOUT_MS, untilTaken } from './append-again.ts';
import { fnv1a } from './fnv.ts';

/**
 * An entry that says whose shards lie on which logs. As in an envelope of a command, a kind and a tag come first; the tag is
 * that of the log alone, so that the shards of all orders know it.
 *
 * ```
 *   kind (uint8) | tag (8 bytes) | JSON: { name, logs }
 * ```
 */
const KIND = 8;
const TAG_BYTES = 8;
const HEAD_BYTES = 1 + TAG_BYTES;
/** So many logs are named in a message. */
const SHOWN_MAX = 8;

/** The logs of a machine's shards, by their identities, in the order of the shards. */
export interface ShardPlan {
  readonly name: string;
  readonly logs: readonly string[];
}

/** What a log begins with: nothing yet, the order of its shards, or something else. */
type Beginning = 'nothing' | ShardPlan | 'other';

/** Whether an entry of this log says whose shards lie on which logs. */
export function isShardPlan(entry: Uint8Array, log: string): boolean {
  if (entry.length < HEAD_BYTES || entry[0] !== KIND) return false;
  return tagOf(log).every((it, i) => entry[1 + i] === it);
}

function encodeShardPlan({ name, logs }: ShardPlan, log: string): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify({ name, logs }));
  const bytes = new Uint8Array(HEAD_BYTES + json.length);
  bytes[0] = KIND;
  bytes.set(tagOf(log), 1);
  bytes.set(json, HEAD_BYTES);
  return bytes;
}

function decodeShardPlan(entry: Uint8Array): ShardPlan {
  const { name, logs } = JSON.parse(new TextDecoder().decode(entry.subarray(HEAD_BYTES)));
  return { name, logs };
}

/** No machine has this name. */
function tagOf(log: string): Uint8Array {
  const tag = new Uint8Array(TAG_BYTES);
  new DataView(tag.buffer).setBigUint64(0, fnv1a(`${log}\0\0shards`), true);
  return tag;
}

/**
 * Which order of the logs is in force. The first entry of each log says it, and whatever comes later counts for nothing. All
 * processes claim the logs one after the other, in an order that is the same for everybody, that of their identities: so of two
 * orders that have a log in common one is in force on all of its logs, and the other one is refused at the first that
 * they share, before a command is sent to any.
 */
export class ShardOrder {
  private readonly plan: ShardPlan;
  private readonly logs: ReadonlyMap<string, OrderedLog>;
  private readonly ports: Pick<Ports, 'clock' | 'random'>;
  private readonly timeoutMs: number;
  /** Logs on which the order is that of the plan, or is none of ours to set. */
  private readonly settled = new Set<string>();

  /** `timeoutMs`: for each log. */
  constructor(
    plan: ShardPlan,
    logs: readonly OrderedLog[],
    ports: Pick<Ports, 'clock' | 'random'>,
    timeoutMs: number,
  ) {
    this.plan = plan;
    this.logs = new Map(plan.logs.map((it, shard) => [it, logs[shard]!]));
    this.ports = ports;
    this.timeoutMs = timeoutMs;
  }

  /** Rejects with `FAILED_PRECONDITION` where another order is in force. Nothing is written. */
  async check(): Promise<void> {
    await Promise.all(
      this.plan.logs.map((it) => this.inTime(it, (signal) => this.look(it, signal))),
    );
  }

  /** Has this order be in force, or rejects with `FAILED_PRECONDITION` where another one was first. */
  async claim(): Promise<void> {
    for (const it of [...this.plan.logs].sort())
      await this.inTime(it, async (signal) => {
        await this.look(it, signal);
        if (this.settled.has(it)) return;
        const entry = encodeShardPlan(this.plan, it);
        const call = { signal, timeoutMs: ATTEMPT_TIMEOUT_MS };
        const append = (): Promise<number> => this.logs.get(it)!.append([entry], call);
        await untilTaken(append, this.ports, signal);
        await this.look(it, signal);
      });
  }

  private async look(identity: string, signal: AbortSignal): Promise<void> {
    if (this.settled.has(identity)) return;
    const log = this.logs.get(identity)!;
    const look = (): Promise<Beginning> => beginningOf(log, identity, signal);
    const found = await untilTaken(look, this.ports, signal);
    if (found === 'nothing') return;
    if (found !== 'other') this.checkSame(found, identity);
    this.settled.add(identity);
  }

  private checkSame(taken: ShardPlan, identity: string): void {
    const { plan } = this;
    const isSame =
      taken.name === plan.name &&
      taken.logs.length === plan.logs.length &&
      taken.logs.every((it, shard) => it === plan.logs[shard]);
    if (!isSame) throw anotherOrder(plan, taken, identity);
  }

  private inTime<T>(identity: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { ports, timeoutMs } = this;
    return inTime(ports.clock, timeoutMs, undefined, work, () => noAnswer(identity, timeoutMs));
  }
}

/** What a log begins with, as of all that was acknowledged before. A log may have positions of its own before the first entry. */
async function beginningOf(
  log: OrderedLog,
  identity: string,
  signal: AbortSignal,
): Promise<Beginning> {
  const tail = await log.tail({ signal, timeoutMs: ATTEMPT_TIMEOUT_MS });
  if (tail === 0) return 'nothing';
  try {
    for await (const it of log.follow(1, { signal })) {
      if (it.kind === 'snapshot') return 'other';
      const [first] = it.entries;
      if (first !== undefined)
        return isShardPlan(first.command, identity) ? decodeShardPlan(first.command) : 'other';
      if (it.through >= tail) return 'nothing';
    }
  } catch (error) {
    // Somebody had a snapshot of what it held: whose that is, the replica finds out.
    if (!VarlogError.is(error, 'TRIMMED')) throw error;
  }
  signal.throwIfAborted();
  return 'other';
}

function anotherOrder(plan: ShardPlan, taken: ShardPlan, identity: string): VarlogError {
  const shard = ({ name, logs }: ShardPlan, log: string): string =>
    `shard ${logs.indexOf(log)} of ${logs.length} of "${name}"`;
  // The one that is in another place, which need not be the log that says so.
  const differs = taken.logs.find((it) => {
    const place = plan.logs.indexOf(it);
    return place >= 0 && place !== taken.logs.indexOf(it);
  });
  const log = differs ?? identity;
  return new VarlogError('FAILED_PRECONDITION', {
    what: `the logs were given in another order, or to another number of shards, than before: log "${log}" is ${shard(taken, log)}, and was given as ${shard(plan, log)}`,
    because: `the shards that were first on these logs have, in this order, ${listed(taken.logs)}`,
    next: `give the logs in that order, all of them; or logs that are new. Here they were ${listed(plan.logs)}`,
    details: { log, inForce: taken, given: plan },
    outcome: 'notAppended',
  });
}

function listed(logs: readonly string[]): string {
  const shown = logs.slice(0, SHOWN_MAX).map((it, shard) => `${shard}: "${it}"`);
  const more = logs.length - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function noAnswer(identity: string, timeoutMs: number): VarlogError {
  return new VarlogError('TIMEOUT', {
    what: `log "${identity}" did not say within ${timeoutMs} ms whose shard it is`,
    next: 'see whether it has a quorum, and start the shards again',
    outcome: 'notAppended',
  });
}
