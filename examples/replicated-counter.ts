/**
 * A plain class as a replicated service: two replicas, as two processes would run them, with the same state.
 *
 * Needs a cluster: `npx varlog up` in another shell.
 *
 * ```
 * $ node dist/examples/replicated-counter.js
 * added 2 at one replica: 2
 * added 3 at the other: 5
 * the first one sees 5
 * it applied +2, +3
 * a third one, started later, sees 5
 * ```
 */
import { Varlog } from 'varlog/log';
import { type StateMachine, startReplica } from 'varlog/smr';

/** It must be deterministic: all that it knows comes from its commands. */
class Counter implements StateMachine<{ add: number }, number, number> {
  value = 0;

  apply({ add }: { add: number }): number {
    this.value += add;
    return this.value;
  }

  snapshot(): number {
    return this.value;
  }

  restore(value: number): void {
    this.value = value;
  }
}

await using varlog = await Varlog.connect(process.env['VARLOG_URL'] ?? '127.0.0.1:9092');
const log = await varlog.createTopic();

await using one = await startReplica({ machine: new Counter(), log });
await using other = await startReplica({ machine: new Counter(), log });
const applied: string[] = [];
one.applied$.subscribe(({ command }) => applied.push(`+${command.add}`));

// The command goes through the log; the result comes from this replica, once it has applied it.
console.log('added 2 at one replica:', await one.execute({ add: 2 }));
console.log('added 3 at the other:', await other.execute({ add: 3 }));

// Linearizable: it sees everything that was acknowledged before the question, wherever that was.
// `{ consistency: 'stale' }` answers at once, with what this replica knows.
console.log('the first one sees', await one.query((it) => it.value));
console.log('it applied', applied.join(', '));

await using third = await startReplica({ machine: new Counter(), log });
console.log('a third one, started later, sees', await third.query((it) => it.value));
