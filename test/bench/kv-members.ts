import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freeAddresses } from 'varlog/testing';
import type { Measured } from './measure.ts';
import type { Store } from './store.ts';

/** Three processes that replicate a map on a Raft group, called by the leader's own process as a service calls its replica. */
export class KvMembers implements Store {
  readonly name = 'replicated map on Raft, in its process';
  private readonly children: ChildProcess[];
  private readonly directory: string;

  private constructor(children: ChildProcess[], directory: string) {
    this.children = children;
    this.directory = directory;
  }

  static async start(snapshotEvery = ''): Promise<KvMembers> {
    const directory = mkdtempSync(join(tmpdir(), 'varlog-bench-'));
    const addresses = (await freeAddresses(3)).join(',');
    const script = join(import.meta.dirname, 'kv-member.js');
    const members = [1, 2, 3].map((id) =>
      fork(script, [String(id), addresses, join(directory, String(id)), snapshotEvery]),
    );
    await Promise.all(members.map((it) => answerOf(it)));
    return new KvMembers(members, directory);
  }

  get pids(): number[] {
    return this.children.map((it) => it.pid!);
  }

  /** Has the leader load itself. */
  async run(kind: 'put' | 'get', clients: number, seconds: number): Promise<Measured> {
    for (;;) {
      for (const member of this.children) {
        member.send({ kind, clients, seconds });
        const answer = (await answerOf(member)) as { leads: boolean; measured: Measured };
        if (answer.leads) return answer.measured;
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Ends a member that does not lead, for good. */
  async killFollower(): Promise<void> {
    for (const member of [...this.children]) {
      member.send({ kind: 'get', clients: 1, seconds: 0 });
      const { leads } = (await answerOf(member)) as { leads: boolean };
      if (leads) continue;
      this.children.splice(this.children.indexOf(member), 1);
      member.removeAllListeners('exit');
      member.kill('SIGKILL');
      return;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const it of this.children) {
      it.removeAllListeners('exit');
      it.kill('SIGKILL');
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function answerOf(member: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const ended = (): void => reject(new Error('a member of the benchmark ended'));
    member.once('exit', ended);
    member.once('message', (answer) => {
      member.removeListener('exit', ended);
      resolve(answer);
    });
  });
}
