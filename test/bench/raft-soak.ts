import { parseArgs } from 'node:util';
import { KvMembers } from './kv-members.ts';
import { memoryMiB } from './process-use.ts';

/**
 * `npm run soak:raft -- --minutes 10`: a Raft group of three under full write load, of which one follower is dead.
 * Prints the memory of the two others; it must not keep growing.
 */
const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' } } });
const SAMPLES = 20;
const CLIENTS = 256;
const SNAPSHOT_EVERY = '500000';

await using members = await KvMembers.start(SNAPSHOT_EVERY);
await members.run('put', CLIENTS, 4);
await members.killFollower();
console.log('minutes | puts/s | MiB of the two members that are left');
const seconds = (Number(values.minutes) * 60) / SAMPLES;
for (let i = 1; i <= SAMPLES; i++) {
  const { perSecond } = await members.run('put', CLIENTS, seconds);
  const sizes = members.pids.map(memoryMiB).join(' ');
  console.log(`${((i * seconds) / 60).toFixed(1)} | ${Math.round(perSecond)} | ${sizes}`);
}
