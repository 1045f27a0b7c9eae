/**
 * A cluster inside a program: one node in this process, on disk, for development, tests and small services. What it
 * holds is there again when it is started again.
 *
 * ```
 * $ node dist/examples/embedded-cluster.js
 * a cluster of 1 node is ready
 * the log holds: hello
 * after a restart it holds: hello, world
 * ```
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Varlog } from 'varlog/log';
import { startLocalCluster } from 'varlog/node';

const port = Number(process.env['PORT'] ?? 9292);
const directory = mkdtempSync(join(tmpdir(), 'varlog-example-'));

/** Starts the cluster, appends one record and tells what the log holds then. */
async function appended(text: string): Promise<string> {
  const cluster = await startLocalCluster({
    // With more nodes each has a process of its own, and every record is on all of them.
    nodes: 1,
    port,
    httpPort: port + 1,
    directory,
    logStreams: 1,
    progress: () => {},
  });
  try {
    await using varlog = await Varlog.connect({ endpoints: cluster.endpoints });
    // A new cluster has a topic already.
    const topic = varlog.topic(1);
    await topic.append(text);
    const texts: string[] = [];
    for await (const entry of topic.read()) texts.push(entry.text());
    return texts.join(', ');
  } finally {
    await cluster.close();
  }
}

try {
  const texts = await appended('hello');
  console.log('a cluster of 1 node is ready');
  console.log('the log holds:', texts);
  console.log('after a restart it holds:', await appended('world'));
} finally {
  rmSync(directory, { recursive: true });
}
