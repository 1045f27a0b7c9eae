/**
 * A request that its caller repeats takes effect once: wherever it is sent again, and whatever became of the first try.
 *
 * Needs a cluster: `npx varlog up` in another shell.
 *
 * ```
 * $ node dist/examples/exactly-once.js
 * deposit 100: the balance is 100
 * the same request again, at another replica: the balance is 100
 * another command under its id: REQUEST_MISMATCH
 * a request of its own: the balance is 200
 * ```
 */
import { Varlog, VarlogError } from 'varlog/log';
import { type StateMachine, startReplica } from 'varlog/smr';

interface Deposit {
  amount: number;
}

class Account implements StateMachine<Deposit, number, number> {
  balance = 0;

  apply({ amount }: Deposit): number {
    this.balance += amount;
    return this.balance;
  }

  snapshot(): number {
    return this.balance;
  }

  restore(balance: number): void {
    this.balance = balance;
  }
}

await using varlog = await Varlog.connect(process.env['VARLOG_URL'] ?? '127.0.0.1:9092');
const log = await varlog.createTopic();
await using here = await startReplica({ machine: new Account(), log });
await using there = await startReplica({ machine: new Account(), log });

// The id comes from whoever wants the effect once: of an HTTP request it would be its Idempotency-Key.
const request = { requestId: 'deposit of Monday' };
console.log('deposit 100: the balance is', await here.execute({ amount: 100 }, request));

// The caller did not get the answer, asks another process, and is told what the first try did.
const repeated = await there.execute({ amount: 100 }, request);
console.log('the same request again, at another replica: the balance is', repeated);

// An id stands for one command: this is a mistake of the caller, and nothing happens.
await there.execute({ amount: 7 }, request).catch((error: unknown) => {
  if (!VarlogError.is(error, 'REQUEST_MISMATCH')) throw error;
  console.log('another command under its id:', error.code);
});

// Without an id each call is a request of its own, which takes effect once however often the replica has to send it.
console.log('a request of its own: the balance is', await here.execute({ amount: 100 }));
