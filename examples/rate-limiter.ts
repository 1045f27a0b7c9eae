/**
 * A rate limiter for a whole fleet: two gateways share one count of what each customer may do, and no restart forgives.
 *
 * Needs a cluster: `npx varlog up` in another shell.
 *
 * ```
 * $ node dist/examples/rate-limiter.js
 * survived 20 seeds of crashes, lost answers and restores
 * gateway 1: ann may, 2 left
 * gateway 2: ann may, 1 left
 * gateway 1: ann may, 0 left
 * gateway 2: ann may not
 * gateway 2: bob may, 2 left
 * gateway 1: ann waited as she was told, and may, 0 left
 * ```
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Varlog } from 'varlog/log';
import { type ApplyContext, type Replica, type StateMachine, startReplica } from 'varlog/smr';
import { simulate } from 'varlog/testing';

/** `full` is sent by no caller: it is scheduled, and forgets who has everything again. */
type Command = { readonly take: string } | { readonly full: string };

interface Verdict {
  readonly allowed: boolean;
  readonly left: number;
  /** After so long there is one again. */
  readonly retryAfterMs: number;
}

/** What somebody may do at once, and in how many milliseconds another one comes. */
const BURST = 3;
const REFILL_MS = 3_000;

/** When a bucket is full again, by the log's time, and the timer that forgets it then. */
interface Bucket {
  readonly fullAt: number;
  readonly timer: number | undefined;
}

/** A token bucket for each name. Whole milliseconds only: what is rounded differently would differ from replica to replica. */
class RateLimiter implements StateMachine<Command, Verdict, [string, Bucket][]> {
  private buckets = new Map<string, Bucket>();

  get size(): number {
    return this.buckets.size;
  }

  apply(command: Command, context: ApplyContext<Command>): Verdict {
    const name = 'take' in command ? command.take : command.full;
    const bucket = this.buckets.get(name);
    // The log's time, not that of a gateway: their clocks differ.
    const missingMs = Math.max(0, (bucket?.fullAt ?? 0) - context.time);
    if ('full' in command) {
      if (bucket?.timer === context.timer) this.buckets.delete(name);
      return { allowed: false, left: BURST, retryAfterMs: 0 };
    }
    const used = Math.ceil(missingMs / REFILL_MS);
    if (used >= BURST) {
      return { allowed: false, left: 0, retryAfterMs: missingMs - (BURST - 1) * REFILL_MS };
    }
    if (bucket?.timer !== undefined) context.cancel(bucket.timer);
    const fullAt = context.time + missingMs + REFILL_MS;
    const timer = context.schedule(fullAt, { full: name });
    this.buckets.set(name, { fullAt, timer });
    return { allowed: true, left: BURST - used - 1, retryAfterMs: 0 };
  }

  snapshot(): [string, Bucket][] {
    return [...this.buckets];
  }

  restore(buckets: [string, Bucket][]): void {
    this.buckets = new Map(buckets);
  }
}

const NAMES = ['ann', 'bob', 'cid'];
const { seeds } = await simulate(RateLimiter, {
  seeds: 20,
  workload: (random): Command => ({ take: random.pick(NAMES) }),
  invariant: (limiter) => limiter.size <= NAMES.length,
});
console.log(`survived ${seeds} seeds of crashes, lost answers and restores`);

await using varlog = await Varlog.connect(process.env['VARLOG_URL'] ?? '127.0.0.1:9092');
const log = await varlog.createTopic();
await using first = await startReplica({ machine: new RateLimiter(), log });
await using second = await startReplica({ machine: new RateLimiter(), log });

type Gateway = Replica<Command, Verdict, RateLimiter>;

/** Asks at one gateway, and says what came of it. */
async function ask(gateway: Gateway, name: string, how = ''): Promise<Verdict> {
  const verdict = await gateway.execute({ take: name });
  const answer = verdict.allowed ? `may, ${verdict.left} left` : 'may not';
  console.log(`gateway ${gateway === first ? 1 : 2}: ${name} ${how}${answer}`);
  return verdict;
}

await ask(first, 'ann');
await ask(second, 'ann');
await ask(first, 'ann');
const { retryAfterMs } = await ask(second, 'ann');
await ask(second, 'bob');
// Clocks and timers are not exact.
await sleep(retryAfterMs + 50);
await ask(first, 'ann', 'waited as she was told, and ');
