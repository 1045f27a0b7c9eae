import { BehaviorSubject, filter, firstValueFrom } from 'rxjs';
import { openRaftGroup, VarlogError } from 'varlog/raft';

/**
 * One member of a Raft group with a journal on it: all single commands at their positions, and the number
 * of bulk commands of each appender. Started with its settings as JSON; answers calls over IPC.
 */
export interface MemberSettings {
  readonly memberId: number;
  readonly members: readonly { id: number; address: string }[];
  readonly directory: string;
  readonly join?: boolean;
  readonly leaseReads?: boolean;
  /** The journal compacts the log whenever it has come this much further. */
  readonly compactEvery?: number;
}

export type Single = readonly [position: number, text: string];

const BULK_BATCH = 1_000;
const BULK_BYTES = 100;
const BULK_MARK = '#'.charCodeAt(0);

class Journal {
  position = 0;
  singles: Single[] = [];
  bulk: number[] = [];
  /** How often it was given a snapshot to go on from. */
  restored = 0;

  apply(position: number, command: Uint8Array): void {
    const bytes = Buffer.from(command.buffer, command.byteOffset, command.length);
    if (command[0] !== BULK_MARK) {
      this.singles.push([position, bytes.toString()]);
      return;
    }
    const [appender, turn] = bytes.toString('latin1', 1, 24).split(':').map(Number.parseFloat);
    if (turn !== (this.bulk[appender!] ?? 0)) {
      throw new Error(
        `appender ${appender}: ${turn} at ${position} behind ${this.bulk[appender!]}`,
      );
    }
    this.bulk[appender!] = turn + 1;
  }

  snapshot(): Uint8Array {
    return Buffer.from(JSON.stringify([this.bulk, this.singles]));
  }

  restore(state: Uint8Array): void {
    [this.bulk, this.singles] = JSON.parse(Buffer.from(state).toString());
    this.restored++;
  }
}

const settings = JSON.parse(process.argv[2]!) as MemberSettings;
const { compactEvery = Number.POSITIVE_INFINITY, ...options } = settings;
const { group } = await openRaftGroup({ ...options, groupId: 'test', onFailure: end });
const journal = new Journal();
const applied$ = new BehaviorSubject(0);

function end(error: unknown): void {
  console.error(error);
  process.exit(1);
}

async function follow(): Promise<void> {
  let compacted = 0;
  for await (const next of group.follow(1)) {
    if (next.kind === 'snapshot') {
      const parts: Uint8Array[] = [];
      for await (const part of next.state) parts.push(part);
      journal.restore(Buffer.concat(parts));
      compacted = next.position;
    } else for (const { position, command } of next.entries) journal.apply(position, command);
    journal.position = next.kind === 'snapshot' ? next.position : next.through;
    applied$.next(journal.position);
    if (journal.position - compacted < compactEvery) continue;
    compacted = journal.position;
    await group.compact(compacted, journal.snapshot());
  }
}

/** Appends `batches` batches of 1,000, each behind the last one. */
async function bulk(appender: number, batches: number): Promise<void> {
  for (let batch = 0; batch < batches; batch++) {
    const commands = Array.from({ length: BULK_BATCH }, (_, i) =>
      Buffer.from(`#${appender}:${batch * BULK_BATCH + i}:`.padEnd(BULK_BYTES)),
    );
    await group.append(commands);
  }
}

let writing = false;

const calls = {
  status: () => ({ ...group.status, restored: journal.restored }),

  append: ({ texts, timeoutMs }: { texts: string[]; timeoutMs?: number }) =>
    group.append(
      texts.map((it) => Buffer.from(it)),
      timeoutMs === undefined ? {} : { timeoutMs },
    ),

  /** A linearizable read of the journal: its newest single command. */
  read: async ({ timeoutMs = 10_000 }: { timeoutMs?: number }) => {
    const tail = await group.tail({ timeoutMs });
    await firstValueFrom(applied$.pipe(filter((applied) => applied >= tail)));
    return { tail, newest: journal.singles.at(-1) };
  },

  dump: () => ({ singles: journal.singles, bulk: journal.bulk }),

  bulk: ({ appenders, batches }: { appenders: number; batches: number }) =>
    Promise.all(Array.from({ length: appenders }, (_, i) => bulk(i, batches))).then(() => {}),

  /** Appends singles one by one until `enough` is called. Resolves with what each took. */
  write: async ({ name }: { name: string }) => {
    const written: { endedAt: number; tookMs: number; index: number; text: string }[] = [];
    writing = true;
    while (writing) {
      const begin = performance.now();
      const text = `${name}:${written.length}`;
      const index = await group.append([Buffer.from(text)]);
      written.push({ endedAt: Date.now(), tookMs: performance.now() - begin, index, text });
    }
    return written;
  },
  enough: () => {
    writing = false;
  },

  addMember: ({ id, address, replaces }: { id: number; address: string; replaces?: number }) =>
    group.addMember({ id, address }, replaces === undefined ? {} : { replaces }),
  removeMember: ({ id }: { id: number }) => group.removeMember(id),
};

export type Calls = typeof calls;
export type Request = { id: number; call: keyof Calls; argument: never };
export type Reply = { id: number; value?: unknown; error?: { what: string; outcome?: string } };

process.on('message', ({ id, call, argument }: Request) => {
  const answer = (reply: Omit<Reply, 'id'>): void => {
    process.send!({ id, ...reply } satisfies Reply);
  };
  Promise.resolve(calls[call](argument)).then(
    (value) => answer({ value }),
    (error: unknown) => {
      const outcome = VarlogError.is(error) ? error.outcome : undefined;
      answer({ error: { what: String(error), ...(outcome && { outcome }) } });
    },
  );
});
process.once('disconnect', () => process.exit(0));
follow().catch(end);
process.send!({ id: 0 } satisfies Reply);
