import { jsonCodec } from '../codecs.ts';
import { LogContext } from '../log-context.ts';
import { Rules } from '../rules.ts';
import type { ApplyContext } from '../state-machine.ts';
import { TIMER_LIMITS, TimerTable } from '../timer-table.ts';
import { LeaseTable } from './lease-table.ts';
import { type LockCommand, LockTable } from './lock-table.ts';
import { Outbox } from './outbox.ts';

function contextAt(position: number): ApplyContext<LockCommand> {
  const codecs = { command: jsonCodec<LockCommand>(), change: jsonCodec<unknown>() };
  const context = new LogContext(new TimerTable(TIMER_LIMITS), codecs, new Rules());
  context.begin({ position, index: 0, time: 1_000, timer: undefined });
  return context;
}

interface Part {
  snapshot(): unknown;
}

/** Whatever is done to one of two, the other stays as it was; and a fork does what the one that it was made of would do. */
function check<T extends Part & { fork(): T }>(
  part: T,
  change: (it: T, position: number) => unknown,
): void {
  for (let position = 1; position < 5; position++) change(part, position);
  const fork = part.fork();
  const before = JSON.stringify(part.snapshot());
  expect(JSON.stringify(fork.snapshot())).toBe(before);
  const answer = change(fork, 5);
  expect(JSON.stringify(part.snapshot())).toBe(before);
  const forked = JSON.stringify(fork.snapshot());
  expect(forked).not.toBe(before);
  expect(change(part, 5)).toEqual(answer);
  expect(JSON.stringify(part.snapshot())).toBe(forked);
  change(part, 6);
  expect(JSON.stringify(fork.snapshot())).toBe(forked);
}

test('a fork of leases, locks or an outbox is another one', () => {
  check(new LeaseTable<LockCommand>((lease) => ({ op: 'expire', lease })), (it, position) => {
    if (position === 5) it.revoke(2, contextAt(position));
    return it.grant(position * 100, contextAt(position));
  });
  check(new LockTable<LockCommand>((it) => it), (it, position) => {
    if (position === 5) it.apply({ op: 'release', name: 'lock 2', token: 2 }, contextAt(position));
    const name = `lock ${position}`;
    return it.apply({ op: 'acquire', name, owner: 'a', ttlMs: 100 }, contextAt(position));
  });
  check(new Outbox<number>({ countMax: 5 }), (it, position) => {
    if (position === 5) it.acknowledge('2:0:0');
    return it.add(position, { position, index: 0 });
  });
});
