import { freeAddresses } from 'varlog/testing';
import { LocalProcesses, type Program } from './local-processes.ts';
import { eventually } from './processes.ts';
import type { Calls, MemberSettings, Reply, Single } from './raft-member.ts';

const PROGRAM = 'test/process/raft-member.js';
const RESUMES_MS = 10_000;
/** How often each change of the members is made under kills. */
const ROUNDS = Number(process.env['KILLS'] ?? 1);

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const anyOf = <T>(items: readonly T[]): T => items[Math.floor(Math.random() * items.length)]!;

/** A call failed: `outcome` as in a `VarlogError`, unknown when the process is gone. */
class CallError extends Error {
  readonly outcome: string | undefined;
  constructor({ what, outcome }: NonNullable<Reply['error']>) {
    super(what);
    this.outcome = outcome;
  }
}

/** A member in a process of its own, to be called, killed, stopped and started again at will. */
class MemberProcess {
  readonly settings: MemberSettings;
  private readonly program: Program;
  private readonly open = new Map<number, (reply: Reply) => void>();
  private lastCall = 0;

  constructor(settings: MemberSettings, processes: LocalProcesses) {
    this.settings = settings;
    this.program = processes.program(PROGRAM, [JSON.stringify(settings)]);
    this.program.onMessage((message) => {
      const reply = message as Reply;
      this.open.get(reply.id)?.(reply);
      this.open.delete(reply.id);
    });
  }

  get id(): number {
    return this.settings.memberId;
  }

  get isUp(): boolean {
    return this.program.isUp;
  }

  /** Resolves when it is open. */
  async start(): Promise<void> {
    const opened = new Promise<Reply>((resolve) => this.open.set(0, resolve));
    this.program.start();
    void this.program.ended().then(() => {
      const error = { what: `member ${this.id} is gone`, outcome: 'unknown' };
      for (const [id, settle] of this.open) settle({ id, error });
      this.open.clear();
    });
    const { error } = await opened;
    if (error !== undefined) throw new CallError(error);
  }

  async call<K extends keyof Calls>(
    call: K,
    ...[argument]: Parameters<Calls[K]>
  ): Promise<Awaited<ReturnType<Calls[K]>>> {
    const id = ++this.lastCall;
    const { value, error } = await new Promise<Reply>((resolve) => {
      if (!this.isUp) {
        resolve({ id, error: { what: `member ${this.id} is down`, outcome: 'notAppended' } });
        return;
      }
      this.open.set(id, resolve);
      // When it is gone, the end of the process settles the call.
      this.program.send({ id, call, argument });
    });
    if (error !== undefined) throw new CallError(error);
    return value as Awaited<ReturnType<Calls[K]>>;
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.program.signal(signal);
  }

  kill(): Promise<void> {
    return this.program.end('SIGKILL');
  }
}

interface Attempt {
  readonly texts: string[];
  readonly member: number;
  readonly callMs: number;
  /** Infinity until it is known. */
  returnMs: number;
  index?: number;
  never?: boolean;
}

/** A group of real processes with real disks, and all that was tried on it. */
class Group implements AsyncDisposable {
  readonly attempts: Attempt[] = [];
  readonly members: MemberProcess[];
  private readonly processes: LocalProcesses;
  private turn = 0;

  private constructor(members: MemberProcess[], processes: LocalProcesses) {
    this.members = members;
    this.processes = processes;
  }

  /** The group begins with the first `count` members; `joining` more are not started. */
  static async start(
    count: number,
    options: Partial<MemberSettings> = {},
    joining = 0,
  ): Promise<Group> {
    const processes = new LocalProcesses();
    const all = (await freeAddresses(count + joining)).map((address, i) => {
      return { id: i + 1, address };
    });
    const memberProcesses = all.map(({ id }) => {
      const own = { memberId: id, directory: processes.folder(String(id)), join: id > count };
      const members = id > count ? all : all.slice(0, count);
      return new MemberProcess({ ...options, ...own, members }, processes);
    });
    const group = new Group(memberProcesses, processes);
    await Promise.all(memberProcesses.slice(0, count).map((it) => it.start()));
    await group.leader();
    return group;
  }

  get up(): MemberProcess[] {
    return this.members.filter((it) => it.isUp);
  }

  but(...others: MemberProcess[]): MemberProcess[] {
    return this.up.filter((it) => !others.includes(it));
  }

  /** The leader by the word of the members of `among`, as soon as one of them leads. */
  leader(among?: MemberProcess[]): Promise<MemberProcess> {
    return eventually(async () => {
      const asked = among ?? this.up;
      const statuses = await Promise.all(asked.map((it) => it.call('status')));
      const term = Math.max(...statuses.map((it) => it.term));
      const at = statuses.findIndex((it) => it.role === 'leader' && it.term === term);
      if (at < 0) throw new Error('no leader');
      return asked[at]!;
    });
  }

  async append(
    member: MemberProcess,
    options: { count?: number; timeoutMs?: number } = {},
  ): Promise<Attempt> {
    const { count = 1, ...rest } = options;
    const texts = Array.from({ length: count }, () => `text ${this.turn++}`);
    const returnMs = Number.POSITIVE_INFINITY;
    const attempt: Attempt = { texts, member: member.id, callMs: performance.now(), returnMs };
    this.attempts.push(attempt);
    try {
      attempt.index = await member.call('append', { texts, ...rest });
      attempt.returnMs = performance.now();
    } catch (error) {
      if (error instanceof CallError && error.outcome === 'notAppended') attempt.never = true;
    }
    return attempt;
  }

  /** Appends from eight clients, at one member after the other, while `work` goes on. */
  async underLoad<T>(work: () => Promise<T>): Promise<T> {
    let going = true;
    const client = async (id: number): Promise<void> => {
      for (let i = id; going; i++) {
        const member = this.up[i % this.up.length];
        const attempt = member && (await this.append(member, { count: 1 + (i % 3) }));
        if (attempt?.index === undefined) await pause(10);
      }
    };
    const clients = Array.from({ length: 8 }, (_, i) => client(i));
    try {
      return await work();
    } finally {
      going = false;
      await Promise.all(clients);
    }
  }

  /**
   * Kills members. Resolves with how long it took from then until a write was acknowledged that began
   * when they were gone.
   */
  async kill(...victims: MemberProcess[]): Promise<number> {
    const killedMs = performance.now();
    await Promise.all(victims.map((it) => it.kill()));
    const goneMs = performance.now();
    const resumedMs = await eventually(async () => {
      const after = this.attempts.filter((it) => it.callMs > goneMs && it.index !== undefined);
      if (after.length === 0) throw new Error('no write was acknowledged');
      return Math.min(...after.map((it) => it.returnMs));
    });
    return Math.round(resumedMs - killedMs);
  }

  /** All members that are up have the same entries, and these are what they may be by the attempts. */
  async check(): Promise<void> {
    await Promise.all(this.up.map((it) => it.call('read', {})));
    const dumps = await Promise.all(this.up.map((it) => it.call('dump')));
    for (const dump of dumps) expect(dump).toEqual(dumps[0]);
    checkAttempts(this.attempts, dumps[0]!.singles);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.processes[Symbol.asyncDispose]();
  }
}

/** Every acknowledged text is at its position, once and in the order of time; no other one is twice or invented. */
function checkAttempts(attempts: readonly Attempt[], entries: readonly Single[]): void {
  const positions = new Map(entries.map(([position, text]) => [text, position]));
  expect(positions.size).toBe(entries.length);
  expect(entries.every(([position], i) => i === 0 || position > entries[i - 1]![0])).toBe(true);
  for (const { texts, index, never } of attempts) {
    const found = texts.map((it) => positions.get(it));
    for (const text of texts) positions.delete(text);
    const first = never ? undefined : (index ?? found[0]);
    expect(found).toEqual(texts.map((_, i) => (first === undefined ? undefined : first + i)));
  }
  expect([...positions.keys()]).toEqual([]);
  const known = attempts.filter((it) => it.index !== undefined);
  const returns = known.toSorted((a, b) => a.returnMs - b.returnMs);
  let before = 0;
  let returned = 0;
  for (const { callMs, index } of known.toSorted((a, b) => a.callMs - b.callMs)) {
    for (; returns[returned]!.returnMs < callMs; returned++) {
      before = Math.max(before, returns[returned]!.index!);
    }
    expect(index).toBeGreaterThan(before);
  }
}

function acknowledged({ attempts }: Group): string {
  const known = attempts.filter((it) => it.index !== undefined).length;
  const unknown = attempts.filter((it) => it.index === undefined && !it.never).length;
  return `${known} of ${attempts.length} appends acknowledged, ${unknown} unknown`;
}

describe('a Raft group of real processes', () => {
  test('goes on after each of three kills of its leader, and nothing acknowledged is lost', async () => {
    await using group = await Group.start(3);
    const times: number[] = [];
    await group.underLoad(async () => {
      for (let round = 0; round < 3; round++) {
        await pause(300);
        const leader = await group.leader();
        times.push(await group.kill(leader));
        await leader.start();
        await leader.call('read', {});
      }
    });
    console.log(`writes resumed ${times.join(', ')} ms after the kill; ${acknowledged(group)}`);
    await group.check();
    expect(Math.max(...times)).toBeLessThan(RESUMES_MS);
  }, 60_000);

  test('survives two of five members, which catch up when they are back', async () => {
    await using group = await Group.start(5);
    const times: number[] = [];
    await group.underLoad(async () => {
      for (const withLeader of [true, false]) {
        await pause(300);
        const leader = await group.leader();
        const others = group.but(leader);
        const victims = withLeader ? [leader, others[0]!] : others.slice(0, 2);
        times.push(await group.kill(...victims));
        await pause(300);
        await Promise.all(victims.map((it) => it.start()));
        await Promise.all(victims.map((it) => it.call('read', {})));
      }
    });
    console.log(`writes resumed after ${times.join(', ')} ms; ${acknowledged(group)}`);
    expect(group.up.length).toBe(5);
    await group.check();
    expect(Math.max(...times)).toBeLessThan(RESUMES_MS);
  }, 60_000);

  test.each([false, true])(
    'a leader that slept through the election of another one reads nothing old (leaseReads: %s)',
    async (leaseReads) => {
      await using group = await Group.start(3, { leaseReads });
      let [answered, asked] = [0, 0];
      for (let stop = 0; stop < 2; stop++) {
        const sleeper = await group.leader();
        const others = group.but(sleeper);
        await group.append(sleeper);
        const writes = [group.append(sleeper)];
        sleeper.signal('SIGSTOP');
        const next = await group.leader(others);
        const { index } = await group.append(next);
        const read = () => sleeper.call('read', { timeoutMs: 5_000 }).catch(() => undefined);
        const reads = Array.from({ length: 10 }, read);
        writes.push(group.append(sleeper));
        sleeper.signal('SIGCONT');
        for (let i = 0; i < 10; i++) {
          reads.push(read());
          await new Promise((resolve) => setImmediate(resolve));
        }
        for (const got of await Promise.all(reads)) {
          asked++;
          if (got === undefined) continue;
          answered++;
          expect(got.tail).toBeGreaterThanOrEqual(index!);
          expect(got.newest?.[0]).toBeGreaterThanOrEqual(index!);
        }
        await Promise.all(writes);
      }
      console.log(
        `${asked} reads at sleepers (leaseReads: ${leaseReads}): ${answered} answered, none old`,
      );
      expect(asked).toBe(40);
      await group.check();
    },
    60_000,
  );

  test.each([false, true])(
    'a leader without a majority answers no read and no write (leaseReads: %s)',
    async (leaseReads) => {
      await using group = await Group.start(3, { leaseReads });
      const leader = await group.leader();
      await group.append(leader);
      // Whose answer begins a lease.
      await leader.call('read', {});
      for (const it of group.but(leader)) it.signal('SIGSTOP');
      // What they said before still arrives, and a lease that they gave lasts a little.
      await pause(leaseReads ? 900 : 200);
      const timeoutMs = 2_000;
      const writes = Array.from({ length: 10 }, () => group.append(leader, { timeoutMs }));
      const reads = Array.from({ length: 10 }, () =>
        leader.call('read', { timeoutMs }).catch(() => 'failed'),
      );
      expect((await Promise.all(writes)).map((it) => it.index)).toEqual(
        writes.map(() => undefined),
      );
      expect(await Promise.all(reads)).toEqual(reads.map(() => 'failed'));
      for (const it of group.but(leader)) it.signal('SIGCONT');
      for (const it of group.up) expect(await group.append(it)).toHaveProperty('index');
      console.log(`without a majority: ${acknowledged(group)}`);
      await group.check();
    },
    60_000,
  );

  test('a member that missed 1,000,000 entries catches up while writes go on', async () => {
    await using group = await Group.start(3, { compactEvery: 350_000 });
    const leader = await group.leader();
    const away = group.but(leader)[0]!;
    const idle = await writing(leader, 'idle', () => pause(4_000));
    await away.kill();
    const bulkMs = await took(() => leader.call('bulk', { appenders: 4, batches: 250 }));
    await Promise.all(group.up.map((it) => it.call('read', {})));
    await pause(1_000);
    let startedAt = 0;
    let levelAt = 0;
    const during = await writing(leader, 'during', async () => {
      await away.start();
      startedAt = Date.now();
      await away.call('read', { timeoutMs: 30_000 });
      levelAt = Date.now();
    });
    const written = [...idle, ...during];
    const due = written.map(({ index, text }) => [index, text]);
    for (const it of group.up) {
      await it.call('read', {});
      expect(await it.call('dump')).toEqual({ singles: due, bulk: Array(4).fill(250_000) });
    }
    expect((await away.call('status')).restored).toBeGreaterThan(0);
    const catchingUp = during.filter((it) => it.endedAt >= startedAt);
    const ratio = (p99(catchingUp) / p99(idle)).toFixed(2);
    console.log(
      `1,000,000 entries in ${bulkMs} ms; level ${levelAt - startedAt} ms after the start; p99 of ` +
        `${idle.length} idle writes ${p99(idle)} ms, of ${catchingUp.length} during the catch-up ` +
        `${p99(catchingUp)} ms: ${ratio} times; with the start of the process: ` +
        `${p99(during)} ms of ${during.length}`,
    );
  }, 60_000);

  test.each([
    'a member is added',
    'a member is removed',
    'the leader is removed',
    'a lost member is replaced',
  ])(
    '%s under load while members are killed, and nothing acknowledged is lost',
    async (what) => {
      const results: string[] = [];
      for (let round = 0; round < ROUNDS; round++) results.push(await changeUnderKills(what));
      console.log(`${what}: ${results.join('; ')}`);
    },
    ROUNDS * 60_000,
  );
});

/** A change of the members of a new group, under load, with kills of random members meanwhile. */
async function changeUnderKills(what: string): Promise<string> {
  const joins = /added|replaced/.test(what);
  await using group = await Group.start(3, { compactEvery: 5_000 }, joins ? 1 : 0);
  const leader = await group.leader();
  // More than what stays behind a snapshot: who joins needs both.
  await leader.call('bulk', { appenders: 2, batches: 10 });
  const other = group.but(leader)[0]!;
  const gone = what.includes('leader') ? leader : what.includes('added') ? undefined : other;
  const killed: number[] = [];
  let changing = true;
  const nemesis = async (): Promise<void> => {
    do {
      const victim = anyOf(group.up);
      await pause(Math.random() * 60);
      await victim.kill();
      killed.push(victim.id);
      await pause(300);
      await victim.start();
      await pause(Math.random() * 1_000);
    } while (changing);
  };
  const change = async (): Promise<void> => {
    const at = await group.leader();
    if (!joins) return at.call('removeMember', { id: gone!.id });
    const member = group.members[3]!.settings.members[3]!;
    return at.call('addMember', { ...member, ...(gone && { replaces: gone.id }) });
  };
  const tookMs = await group.underLoad(async () => {
    if (what.includes('replaced')) await other.kill();
    if (joins) await group.members[3]!.start();
    const changed = took(() => eventually(change, 40_000)).finally(() => {
      changing = false;
    });
    const [changedMs] = await Promise.all([changed, nemesis()]);
    await gone?.kill();
    await pause(300);
    return changedMs;
  });
  await group.check();
  const ids = group.members.filter((it) => it !== gone).map((it) => it.id);
  for (const id of ids) {
    const { voters } = await group.members[id - 1]!.call('status');
    expect(voters.toSorted()).toEqual(ids);
  }
  return `${tookMs} ms, killed ${killed.join(', ')}, ${acknowledged(group)}`;
}

type Written = Awaited<ReturnType<Calls['write']>>;

/** Single writes at `leader`, one after the other, while `work` goes on. */
async function writing(
  leader: MemberProcess,
  name: string,
  work: () => Promise<void>,
): Promise<Written> {
  const until = work().finally(() => leader.call('enough'));
  const [written] = await Promise.all([leader.call('write', { name }), until]);
  return written;
}

async function took(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return Math.round(performance.now() - begin);
}

function p99(written: Written): number {
  const sorted = written.map((it) => it.tookMs).sort((a, b) => a - b);
  return Number((sorted[Math.floor(sorted.length * 0.99)] ?? 0).toFixed(2));
}
