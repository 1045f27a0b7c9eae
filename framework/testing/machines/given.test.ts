import type { ApplyContext, StateMachine } from '../../smr/index.ts';
import { given } from './given.ts';

type Command = { lock: string; forMs: number } | { peek: true };

class Lock implements StateMachine<Command, unknown, { owner: string; until: number }> {
  private held = { owner: '', until: 0 };
  apply(command: Command, { time, position }: ApplyContext): unknown {
    if ('peek' in command) return { ...this.held, position, nothing: undefined };
    if (this.held.until > time) return { ok: false };
    this.held = { owner: command.lock, until: time + command.forMs };
    return { ok: true };
  }
  snapshot() {
    return this.held;
  }
  restore(held: { owner: string; until: number }): void {
    this.held = held;
  }
}

test('one command after the other, with results and state between them', () => {
  given(new Lock(), [{ lock: 'ann', forMs: 10 }], { time: 1_000 })
    .when({ lock: 'bob', forMs: 10 })
    .then({ ok: false })
    .at(1_010)
    .when({ lock: 'bob', forMs: 5 })
    .then({ ok: true })
    .thenState({ owner: 'bob', until: 1_015 })
    .at(7)
    .when({ peek: true })
    // As its caller gets it: through the codec.
    .then({ owner: 'bob', until: 1_015, position: 4 });
});

test('what is not as expected is named', () => {
  const scenario = given(new Lock()).when({ lock: 'ann', forMs: 10 });
  expect(() => scenario.then({ ok: false })).toThrow(
    'MACHINE_DEFECT: after 1 commands, result.ok is true, and false was expected.',
  );
  expect(() => scenario.thenState({ owner: 'bob', until: 0 })).toThrow(
    /state\.owner is "ann", and "bob" was expected/,
  );
  expect(() => given(new Lock()).then({})).toThrow(/apply a command with `when` first/);
});

test('to await it is a mistake that says so', async () => {
  // The compiler says so as well.
  const scenario: unknown = given(new Lock()).when({ peek: true });
  const awaiting = async () => await scenario;
  await expect(awaiting()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});
