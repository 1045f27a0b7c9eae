import { parseArgs } from 'node:util';
import { handle } from 'varlog/log';
import { TestCluster } from '../process/processes.ts';
import { memoryMiB } from './process-use.ts';

/**
 * `npm run soak -- --minutes 10`: a subscriber that handles one entry a second stays behind a fast
 * appender. Prints the memory of every process; none may keep growing.
 */
const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' } } });
const SAMPLES = 10;
const BATCH = Array.from({ length: 20 }, () => new Uint8Array(1024));
const APPENDS_PAUSE_MS = 10;

await using cluster = await TestCluster.start(3);
await using varlog = await cluster.connect();
const topic = await varlog.createTopic({ logStreams: 2 });
const endMs = performance.now() + Number(values.minutes) * 60_000;
let appended = 0;
let handled = 0;

const appending = (async () => {
  while (performance.now() < endMs) {
    await topic.append(BATCH);
    appended += BATCH.length;
    await new Promise((resolve) => setTimeout(resolve, APPENDS_PAUSE_MS));
  }
})();
const slow = topic
  .tail$({ from: 'start' })
  .pipe(
    handle(async () => {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      handled++;
    }),
  )
  .subscribe();

const pids = [process.pid, ...cluster.nodes.map((it) => it.pid)];
console.log('appended | handled | MiB of this process and of the nodes');
for (let i = 0; i < SAMPLES; i++) {
  await new Promise((resolve) => setTimeout(resolve, (endMs - performance.now()) / (SAMPLES - i)));
  const sizes = pids.map(memoryMiB);
  console.log(`${appended} | ${handled} | ${sizes.join(' ')}`);
}
await appending;
slow.unsubscribe();
