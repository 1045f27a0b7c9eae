import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../process/processes.ts';
import { type Measured, type Row, row } from './measure.ts';

/** A replicated map on a Raft group of three processes, driven by concurrent callers in the leader's process. */
export async function kvRows(): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'varlog-bench-'));
  const addresses = (await freePorts(3)).map((port) => `127.0.0.1:${port}`).join(',');
  const script = join(import.meta.dirname, 'kv-member.js');
  const members = [1, 2, 3].map((id) =>
    fork(script, [String(id), addresses, join(directory, String(id))]),
  );
  try {
    await Promise.all(members.map((it) => answerOf(it)));
    const rows: Row[] = [];
    for (const clients of [1, 64, 256]) {
      const measured = await runAtLeader(members, { kind: 'put', clients });
      rows.push(row(`replicated map on Raft, 3 members: put, ${clients} callers`, measured));
    }
    for (const clients of [1, 256]) {
      const measured = await runAtLeader(members, { kind: 'get', clients });
      rows.push(row(`the same: linearizable get, ${clients} callers`, measured));
    }
    return rows;
  } finally {
    for (const it of members) it.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
}

async function runAtLeader(
  members: ChildProcess[],
  work: { kind: 'put' | 'get'; clients: number },
): Promise<Measured> {
  for (;;) {
    for (const member of members) {
      member.send(work);
      const answer = (await answerOf(member)) as { leads: boolean; measured: Measured };
      if (answer.leads) return answer.measured;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function answerOf(member: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    member.once('message', resolve);
    member.once('exit', () => reject(new Error('a member of the benchmark ended')));
  });
}
