/**
 * A job queue: whoever takes a job has it for a lease, and a job whose worker died goes to another one.
 *
 * Needs a cluster: `npx varlog up` in another shell.
 *
 * ```
 * $ node dist/examples/job-queue.js
 * ann takes "resize the photo", and dies
 * bob takes "send the mail", and finishes it
 * nothing is left for bob
 * its lease is over: "resize the photo" waits again
 * bob takes "resize the photo", and finishes it
 * ann wakes up and wants to finish it too: false
 * ```
 */
import { Varlog } from 'varlog/log';
import {
  type ApplyContext,
  LeaseTable,
  type LeaseTableState,
  type StateMachine,
  startReplica,
} from 'varlog/smr';

type Command =
  | { readonly op: 'add'; readonly job: string }
  | { readonly op: 'take' }
  | { readonly op: 'finish' | 'expire'; readonly lease: number };

/** What was taken, if anything was; or whether the command took effect. */
type Result = { readonly job: string; readonly lease: number } | boolean;

interface State {
  readonly waiting: readonly string[];
  readonly taken: readonly (readonly [lease: number, job: string])[];
  readonly leases: LeaseTableState;
}

const LEASE_MS = 3_000;

class JobQueue implements StateMachine<Command, Result, State> {
  private waiting: string[] = [];
  private taken = new Map<number, string>();
  private readonly leases = new LeaseTable<Command>((lease) => ({ op: 'expire', lease }));

  apply(command: Command, context: ApplyContext<Command>): Result {
    switch (command.op) {
      case 'add':
        return this.waiting.push(command.job) > 0;
      case 'take':
        return this.take(context);
      case 'finish':
        return this.leases.revoke(command.lease, context) && this.taken.delete(command.lease);
      case 'expire':
        // Scheduled by the table of leases: every replica applies it at the same place of the log.
        return this.leases.expire(command.lease, context) && this.putBack(command.lease, context);
    }
  }

  snapshot(): State {
    const { waiting, taken, leases } = this;
    return { waiting, taken: [...taken], leases: leases.snapshot() };
  }

  restore({ waiting, taken, leases }: State): void {
    this.waiting = [...waiting];
    this.taken = new Map(taken);
    this.leases.restore(leases);
  }

  private take(context: ApplyContext<Command>): Result {
    const [job] = this.waiting;
    const lease = job === undefined ? undefined : this.leases.grant(LEASE_MS, context);
    if (job === undefined || lease === undefined) return false;
    this.waiting.shift();
    this.taken.set(lease.id, job);
    return { job, lease: lease.id };
  }

  private putBack(lease: number, context: ApplyContext<Command>): boolean {
    const job = this.taken.get(lease) as string;
    this.taken.delete(lease);
    this.waiting.unshift(job);
    context.emit({ waitsAgain: job });
    return true;
  }
}

await using varlog = await Varlog.connect(process.env['VARLOG_URL'] ?? '127.0.0.1:9092');
const log = await varlog.createTopic();
await using queue = await startReplica({ machine: new JobQueue(), log });

/** Takes a job, and finishes it where the worker lives. The lease, if there was a job. */
async function work(worker: string, dies = false): Promise<number | undefined> {
  const taken = await queue.execute({ op: 'take' });
  if (typeof taken === 'boolean') {
    console.log(`nothing is left for ${worker}`);
    return undefined;
  }
  console.log(`${worker} takes "${taken.job}", and ${dies ? 'dies' : 'finishes it'}`);
  if (!dies) await queue.execute({ op: 'finish', lease: taken.lease });
  return taken.lease;
}

const changes = queue.changes<{ waitsAgain: string }>();
await queue.execute({ op: 'add', job: 'resize the photo' });
await queue.execute({ op: 'add', job: 'send the mail' });
const lost = await work('ann', true);
await work('bob');
await work('bob');

// Nobody writes anything now: the lease ends all the same.
for await (const event of changes) {
  if (event.kind === 'bookmark') continue;
  for (const { waitsAgain } of event.changes)
    console.log(`its lease is over: "${waitsAgain}" waits again`);
  break;
}
await work('bob');
const tooLate = await queue.execute({ op: 'finish', lease: lost as number });
console.log(`ann wakes up and wants to finish it too: ${tooLate}`);
