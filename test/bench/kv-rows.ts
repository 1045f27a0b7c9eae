import { KvMembers } from './kv-members.ts';
import { type Row, row } from './measure.ts';
import { idleRow } from './process-use.ts';

/** A replicated map on a Raft group of three processes, driven by concurrent callers in the leader's process. */
export async function kvRows(): Promise<Row[]> {
  await using members = await KvMembers.start();
  const rows: Row[] = [await idleRow('idle Raft group of 3, all processes', members.pids)];
  for (const clients of [1, 64, 256]) {
    const measured = await members.runAtLeader({ kind: 'put', clients });
    rows.push(row(`replicated map on Raft, 3 members: put, ${clients} callers`, measured));
  }
  for (const clients of [1, 256]) {
    const measured = await members.runAtLeader({ kind: 'get', clients });
    rows.push(row(`the same: linearizable get, ${clients} callers`, measured));
  }
  return rows;
}
