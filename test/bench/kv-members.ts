import { freeAddresses } from 'varlog/testing';
import { LocalProcesses, type Program } from '../process/local-processes.ts';
import type { Measured } from './measure.ts';
import type { Store } from './store.ts';

/** Three processes that replicate a map on a Raft group, called by the leader's own process as a service calls its replica. */
export class KvMembers implements Store {
  readonly name = 'replicated map on Raft, in its process';
  private readonly processes: LocalProcesses;
  private readonly members: Program[];

  private constructor(processes: LocalProcesses) {
    this.processes = processes;
    this.members = [...processes.programs];
  }

  static async start(snapshotEvery = ''): Promise<KvMembers> {
    const processes = new LocalProcesses();
    const addresses = (await freeAddresses(3)).join(',');
    for (const id of ['1', '2', '3']) {
      const args = [id, addresses, processes.folder(id), snapshotEvery];
      processes.program('test/bench/kv-member.js', args);
    }
    const answers = processes.programs.map((it) => answerOf(it));
    processes.startAll();
    await Promise.all(answers);
    return new KvMembers(processes);
  }

  get pids(): number[] {
    return this.members.map((it) => it.pid);
  }

  /** Has the leader load itself. */
  async run(kind: 'put' | 'get', clients: number, seconds: number): Promise<Measured> {
    for (;;) {
      for (const member of this.members) {
        const answer = await ask(member, { kind, clients, seconds });
        if (answer.leads) return answer.measured;
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Ends a member that does not lead, for good. */
  async killFollower(): Promise<void> {
    for (const member of [...this.members]) {
      const { leads } = await ask(member, { kind: 'get', clients: 1, seconds: 0 });
      if (leads) continue;
      this.members.splice(this.members.indexOf(member), 1);
      await member.end('SIGKILL');
      return;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.processes[Symbol.asyncDispose]();
  }
}

interface Answer {
  readonly leads: boolean;
  readonly measured: Measured;
}

async function ask(member: Program, work: object): Promise<Answer> {
  const answer = answerOf(member);
  member.send(work);
  return (await answer) as Answer;
}

/** The next message of a member; rejects when it ends before. */
function answerOf(member: Program): Promise<unknown> {
  return new Promise((resolve, reject) => {
    member.hearOnce(resolve, () => reject(new Error(`a member ended: ${member.output}`)));
  });
}
