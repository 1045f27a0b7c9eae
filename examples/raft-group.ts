/**
 * Consensus without a cluster: three members of a Raft group with a key-value map on them. The leader is stopped, and
 * the others go on with everything that was acknowledged. Usually each member has a process and a machine of its own.
 *
 * ```
 * $ node dist/examples/raft-group.js
 * set at member 1: colour = blue
 * read at member 3: blue
 * the leader is gone
 * set at another member: colour = green
 * read at the third one: green
 * ```
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRaftGroup } from 'varlog/raft';
import { type StateMachine, startReplica } from 'varlog/smr';

class Dictionary implements StateMachine<[string, string], string, [string, string][]> {
  readonly entries = new Map<string, string>();

  apply([key, value]: [string, string]): string {
    this.entries.set(key, value);
    return `${key} = ${value}`;
  }

  snapshot(): [string, string][] {
    return [...this.entries];
  }

  restore(entries: [string, string][]): void {
    this.entries.clear();
    for (const [key, value] of entries) this.entries.set(key, value);
  }
}

const port = Number(process.env['PORT'] ?? 7100);
const directory = mkdtempSync(join(tmpdir(), 'varlog-example-'));
const members = [1, 2, 3].map((id) => ({ id, address: `127.0.0.1:${port + id}` }));

/** A member of the group, and the machine that follows the log there. */
async function startMember(memberId: number) {
  const node = await openRaftGroup({
    groupId: 'dictionary',
    memberId,
    members,
    directory: join(directory, String(memberId)),
  });
  // The group keeps the snapshots, and sends them to members that are far behind.
  const machine = new Dictionary();
  const replica = await startReplica({ machine, log: node.group, snapshotEvery: 1_000 });
  const stop = async (): Promise<void> => {
    await replica.close();
    await node.close();
  };
  return { node, replica, stop };
}

const running = await Promise.all(members.map(({ id }) => startMember(id)));
try {
  // Any member takes commands, and passes them on to the leader.
  console.log('set at member 1:', await running[0]!.replica.execute(['colour', 'blue']));
  console.log(
    'read at member 3:',
    await running[2]!.replica.query((it) => it.entries.get('colour')),
  );

  const leader = running.find(({ node }) => node.group.status.role === 'leader')!;
  await leader.stop();
  console.log('the leader is gone');

  const [another, third] = running.filter((it) => it !== leader);
  console.log('set at another member:', await another!.replica.execute(['colour', 'green']));
  console.log(
    'read at the third one:',
    await third!.replica.query((it) => it.entries.get('colour')),
  );
} finally {
  await Promise.all(running.map((it) => it.stop()));
  rmSync(directory, { recursive: true });
}
