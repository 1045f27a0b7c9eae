/**
 * A state machine that is tested as replicas, from seeds: what is wrong with it is found and cut down, and mended.
 *
 * Needs no cluster.
 *
 * ```
 * $ node dist/examples/simulated-machine.js
 * found: snapshot, cut down from 20 commands to 2
 * the mended one survived 50 seeds with 1000 commands
 * ```
 */
import { VarlogError } from 'varlog/log';
import type { ApplyContext, StateMachine } from 'varlog/smr';
import { given, type SeededRandom, simulate } from 'varlog/testing';

type Command = { acquire: string; forMs: number } | { release: string };

/** A lock that runs out. It says who had it before, and forgets that in its snapshot. */
class ForgetfulLock implements StateMachine<Command, string, unknown> {
  protected owner = '';
  protected until = 0;
  protected previous = '';

  apply(command: Command, { time }: ApplyContext): string {
    const isHeld = this.owner !== '' && this.until > time;
    if ('release' in command) {
      if (!isHeld || this.owner !== command.release) return 'it is not yours';
      this.previous = this.owner;
      this.owner = '';
      return 'released';
    }
    if (isHeld) return `${this.owner} has it`;
    const { previous } = this;
    // The log's time, equal on every replica. `Date.now()` would be found, too.
    this.until = time + command.forMs;
    this.owner = command.acquire;
    return previous === '' ? 'yours' : `yours, after ${previous}`;
  }

  snapshot(): unknown {
    return { owner: this.owner, until: this.until };
  }

  restore(state: unknown): void {
    Object.assign(this, state);
  }
}

/** The same with the whole state in its snapshot. */
class Lock extends ForgetfulLock {
  override snapshot(): unknown {
    return { owner: this.owner, until: this.until, previous: this.previous };
  }
}

// One command after the other, in a test of its own.
given(new Lock(), [{ acquire: 'ann', forMs: 1_000 }], { time: 0 })
  .when({ acquire: 'bob', forMs: 1_000 })
  .then('ann has it')
  .at(1_000)
  .when({ acquire: 'bob', forMs: 1_000 })
  .then('yours');

const WHO = ['ann', 'bob'];
const options = {
  seeds: 50,
  workload: (random: SeededRandom): Command =>
    random.chance(0.5)
      ? { acquire: random.pick(WHO), forMs: 1_000 }
      : { release: random.pick(WHO) },
};

try {
  // Nothing goes wrong here, and still it shows.
  await simulate(ForgetfulLock, { ...options, faults: [] });
} catch (error) {
  if (!VarlogError.is(error, 'MACHINE_DEFECT')) throw error;
  // Its message tells the whole story: every command, fault and answer, with times, and how to run it again.
  const { kind, commands } = error.details as { kind: string; commands: number[] };
  console.log(`found: ${kind}, cut down from 20 commands to ${commands.length}`);
}

// Here everything does: crashes, partitions, lost acknowledgements.
const { seeds, commands } = await simulate(Lock, options);
console.log(`the mended one survived ${seeds} seeds with ${commands} commands`);
