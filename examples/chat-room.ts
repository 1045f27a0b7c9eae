/**
 * A chat room: everybody sees the same messages in the same order, who is silent for too long has left, and what was sent
 * twice is said once.
 *
 * Needs a cluster: `npx varlog up` in another shell.
 *
 * ```
 * $ node dist/examples/chat-room.js
 * survived 20 seeds of crashes, lost answers and restores
 * 1 ann comes in
 * 2 bob comes in
 * 3 ann: hello
 * 4 bob: hello ann
 * 5 bob has left
 * nobody hears bob any more: false
 * cid comes late and reads the end: bob: hello ann | bob has left
 * ```
 */
import { lastValueFrom, take, tap } from 'rxjs';
import { Varlog } from 'varlog/log';
import {
  type ApplyContext,
  LeaseTable,
  type LeaseTableState,
  type StateMachine,
  startReplica,
} from 'varlog/smr';
import { simulate } from 'varlog/testing';

type Command =
  | { readonly op: 'enter' | 'stay'; readonly who: string }
  | { readonly op: 'say'; readonly who: string; readonly text: string }
  /** Scheduled: nothing came from somebody for a while. */
  | { readonly op: 'expire'; readonly lease: number };

interface State {
  readonly lines: readonly string[];
  readonly spoken: number;
  readonly present: readonly (readonly [who: string, lease: number])[];
  readonly leases: LeaseTableState;
}

const SILENCE_MS = 2_000;
/** Who comes later reads no further back. */
const LINES_MAX = 100;

class ChatRoom implements StateMachine<Command, boolean, State> {
  private lines: string[] = [];
  private spoken = 0;
  private present = new Map<string, number>();
  private readonly leases = new LeaseTable<Command>((lease) => ({ op: 'expire', lease }));

  get end(): readonly string[] {
    return this.lines;
  }

  apply(command: Command, context: ApplyContext<Command>): boolean {
    switch (command.op) {
      case 'enter':
        return this.enter(command.who, context);
      case 'stay':
        return this.stay(command.who, context);
      case 'say':
        return (
          this.stay(command.who, context) && this.tell(`${command.who}: ${command.text}`, context)
        );
      case 'expire':
        return this.leases.expire(command.lease, context) && this.leave(command.lease, context);
    }
  }

  snapshot(): State {
    const { lines, spoken, present, leases } = this;
    return { lines: [...lines], spoken, present: [...present], leases: leases.snapshot() };
  }

  restore({ lines, spoken, present, leases }: State): void {
    this.lines = [...lines];
    this.spoken = spoken;
    this.present = new Map(present);
    this.leases.restore(leases);
  }

  private enter(who: string, context: ApplyContext<Command>): boolean {
    if (this.present.has(who)) return false;
    const lease = this.leases.grant(SILENCE_MS, context);
    if (lease === undefined) return false;
    this.present.set(who, lease.id);
    return this.tell(`${who} comes in`, context);
  }

  private stay(who: string, context: ApplyContext<Command>): boolean {
    const lease = this.present.get(who);
    return lease !== undefined && this.leases.renew(lease, context) !== undefined;
  }

  private leave(lease: number, context: ApplyContext<Command>): boolean {
    const [who] = [...this.present].find(([, held]) => held === lease) ?? [''];
    return this.present.delete(who) && this.tell(`${who} has left`, context);
  }

  private tell(line: string, context: ApplyContext<Command>): boolean {
    this.lines = [...this.lines, line].slice(-LINES_MAX);
    context.emit(`${++this.spoken} ${line}`);
    return true;
  }
}

const WHO = ['ann', 'bob'];
const { seeds } = await simulate(ChatRoom, {
  seeds: 20,
  workload: (random): Command =>
    random.chance(0.3)
      ? { op: 'enter', who: random.pick(WHO) }
      : { op: 'say', who: random.pick(WHO), text: `${random.below(100)}` },
});
console.log(`survived ${seeds} seeds of crashes, lost answers and restores`);

await using varlog = await Varlog.connect(process.env['VARLOG_URL'] ?? '127.0.0.1:9092');
const log = await varlog.createTopic();
await using room = await startReplica({ machine: new ChatRoom(), log });
await using other = await startReplica({ machine: new ChatRoom(), log });

// What is said at one replica is heard at the other.
const heard = lastValueFrom(
  other.changes$<string>({ from: 1 }).pipe(
    tap((event) => {
      if (event.kind === 'changes') for (const line of event.changes) console.log(line);
    }),
    take(5),
  ),
);
await room.execute({ op: 'enter', who: 'ann' });
await room.execute({ op: 'enter', who: 'bob' });
await room.execute({ op: 'say', who: 'ann', text: 'hello' });
// A browser that got no answer sends it again, under the same id.
const requestId = 'bob-1';
await room.execute({ op: 'say', who: 'bob', text: 'hello ann' }, { requestId });
await room.execute({ op: 'say', who: 'bob', text: 'hello ann' }, { requestId });

// The page of ann is open and says so now and then; that of bob was closed.
const open = setInterval(() => room.execute({ op: 'stay', who: 'ann' }), 200);
await heard;
clearInterval(open);
const isHeard = await room.execute({ op: 'say', who: 'bob', text: 'wait' });
console.log(`nobody hears bob any more: ${isHeard}`);
const end = await other.query((machine) => machine.end.slice(-2).join(' | '));
console.log(`cid comes late and reads the end: ${end}`);
