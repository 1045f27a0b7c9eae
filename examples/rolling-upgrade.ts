/**
 * New code of a machine beside old code: replayed before it is deployed, in force when the log says so, and never with
 * another answer than the old one before that.
 *
 * Needs a cluster: `npx varlog up` in another shell.
 *
 * ```
 * $ node dist/examples/rolling-upgrade.js
 * old code: 100 for ada, 100 in all
 * a careless version differs at position 2: 101, not 100
 * the new version: no difference in 1 command
 * new code, old rules: 100 for ada, 200 in all
 * the rules in force: 2
 * new code, new rules: 99 for ada, 299 in all
 * old code has stopped: APPLY_FAILED
 * ada's balance was made by +100, +100, +99
 * ```
 */
import { Varlog, VarlogError } from 'varlog/log';
import {
  type ApplyContext,
  type MachineDefinition,
  replay,
  type StateMachine,
  startReplica,
  versionedJson,
  why,
} from 'varlog/smr';

type Balances = Record<string, number>;
/** The code of last week, which knew one currency and no fee. */
type OldDeposit = { to: string; amount: number };
type Deposit = OldDeposit & { currency: string };
type Deposited = { credited: number; total: number };

class OldBank implements StateMachine<OldDeposit, Deposited, Balances> {
  protected balances: Balances = {};

  apply({ to, amount }: OldDeposit, context: ApplyContext): Deposited {
    const credited = amount - this.fee(context);
    this.balances[to] = (this.balances[to] ?? 0) + credited;
    const total = Object.values(this.balances).reduce((sum, it) => sum + it, 0);
    return { credited, total };
  }

  protected fee(_: ApplyContext): number {
    return 0;
  }

  snapshot(): Balances {
    return this.balances;
  }

  restore(balances: Balances): void {
    this.balances = { ...balances };
  }

  inspect(name: string): unknown {
    return this.balances[name];
  }
}

class NewBank extends OldBank {
  /** The newest version that this code knows. */
  readonly rules = 2;

  protected override fee({ rules }: ApplyContext): number {
    return rules >= 2 ? 1 : 0;
  }
}

/** Pays more than it got, whatever the rules in force are. */
class CarelessBank extends OldBank {
  protected override fee(): number {
    return -1;
  }
}

/** Reads both shapes, and writes the old one until old code has stopped to take part. */
const command = versionedJson<[OldDeposit, Deposit]>({
  upcast: { 1: (old) => ({ ...old, currency: 'EUR' }) },
  downcast: { 1: { before: 2, of: ({ to, amount }) => ({ to, amount }) } },
});

await using varlog = await Varlog.connect(process.env['VARLOG_URL'] ?? '127.0.0.1:9092');
const log = await varlog.createTopic();
await using old = await startReplica({ machine: new OldBank(), log });
const say = (who: string, { credited, total }: Deposited): void =>
  console.log(`${who}: ${credited} for ada, ${total} in all`);
say('old code', await old.execute({ to: 'ada', amount: 100 }));

// Before it is deployed: does it make of the log what the old version made of it? `varlog replay` does the same.
const against: MachineDefinition = { make: () => new OldBank() };
const careless = await replay({ log, against, machine: { make: () => new CarelessBank() } });
const { position, right, left } = careless.difference!;
console.log(`a careless version differs at position ${position}: ${right}, not ${left}`);
const machine = { make: () => new NewBank(), codec: { command } };
const { difference, commands } = await replay({ log, against, machine });
console.log(`the new version: ${difference ? 'a' : 'no'} difference in ${commands} command`);

// Deployed beside the old one it goes by the rules in force: both give the same answers.
await using young = await startReplica({ machine: new NewBank(), codec: { command }, log });
const deposit = { to: 'ada', amount: 100, currency: 'EUR' };
say('new code, old rules', await young.execute(deposit));
await old.caughtUp();

// Once all replicas could have the new code, an entry of the log raises the rules. Old code stops there.
console.log('the rules in force:', await young.upgradeTo(2));
say('new code, new rules', await young.execute(deposit));
await old.caughtUp().catch((error: unknown) => {
  if (!VarlogError.is(error)) throw error;
  console.log('old code has stopped:', error.code);
});

const made: string[] = [];
for await (const cause of why({ log, machine, key: 'ada' }))
  made.push(`+${(cause.result as Deposited).credited}`);
console.log(`ada's balance was made by ${made.join(', ')}`);
