import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { handle, Varlog } from 'varlog/log';
import { startLocalCluster, tlsFromEnvironment, tokensFromFile, toldToEnd } from 'varlog/node';

/**
 * What `npm start` shows: a cluster of three nodes, the key-value store on it in three replicas, the
 * ledger, and a live tail of the first topic. Data lies in `.varlog`; Ctrl-C ends it all.
 */
const DIRECTORY = '.varlog';
const PORT = 9092;
const TOPICS = { hello: 1, kv: 2, ledger: 3 };

const script = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const interrupted = toldToEnd();

// What nodes and samples take from the environment, who connects to them has to take as well.
const tls = tlsFromEnvironment(process.env);
const tokenFile = process.env['VARLOG_TOKEN_FILE'];
const token = tokensFromFile(tokenFile)?.[0];

const starting = new AbortController();
void interrupted.then(() => starting.abort());
const cluster = await startLocalCluster({
  nodes: 3,
  port: PORT,
  httpPort: 9180,
  directory: DIRECTORY,
  logStreams: 2,
  tlsCa: process.env['VARLOG_TLS_CA'],
  tlsCertificate: process.env['VARLOG_TLS_CERTIFICATE'],
  tlsKey: process.env['VARLOG_TLS_KEY'],
  tokenFile,
  progress: (text) => console.log(`  ${text}`),
  signal: starting.signal,
}).catch((error: unknown) => {
  if (!starting.signal.aborted) throw error;
  process.exit();
});

const endpoints = cluster.endpoints.join(',');
const children: ChildProcess[] = [];
function run(name: string, path: string, args: string[]): Promise<void> {
  console.log(`  starting ${name}`);
  const child = spawn(process.execPath, [script(path), ...args], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    // Ctrl-C in the shell is for this process, which ends the others in order.
    detached: true,
  });
  children.push(child);
  return new Promise((resolve, reject) => {
    child.stdout?.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`${name} ended with exit code ${code}`)));
  });
}

/** Starts what runs on the cluster, says what to type next, and shows what comes until Ctrl-C. */
async function show(varlog: Varlog): Promise<void> {
  for (let topics = await varlog.topics(); topics.length < 3; topics = await varlog.topics()) {
    await varlog.createTopic({ logStreams: 1 });
  }
  await Promise.all([
    ...[1, 2, 3].map((i) =>
      run(`replica ${i} of the key-value store`, './kv-store/cli.js', [
        'serve',
        `--varlog=${endpoints}`,
        `--topic=${TOPICS.kv}`,
        `--grpc=127.0.0.1:${7000 + i}`,
        `--http=127.0.0.1:${8000 + i}`,
        `--directory=${DIRECTORY}/kv-${i}`,
      ]),
    ),
    run('the ledger', './txn-log/cli.js', [
      'serve',
      `--varlog=${endpoints}`,
      `--topic=${TOPICS.ledger}`,
      '--http=127.0.0.1:8101',
      `--directory=${DIRECTORY}/ledger`,
    ]),
  ]);
  const shown = token === undefined ? '' : ` -H "Authorization: Bearer $(head -n 1 ${tokenFile})"`;
  console.log(`
ready. In another shell:

  npx varlog append 1 "hello"                        append to topic 1; it shows up below
  npx varlog tail 1 --from start                     read it all, and what comes
  npx varlog status                                  the cluster on one screen

  node dist/apps/kv-store/cli.js put greeting hi     the key-value store ...
  curl${shown} http://127.0.0.1:8002/kv/greeting             ... from another replica
  curl${shown} -N "http://127.0.0.1:8003/watch?from=1"       ... and its changes
  ETCDCTL_API=3 etcdctl --endpoints 127.0.0.1:7001 get greeting   ... and by the command of etcd

  node dist/apps/txn-log/cli.js open alice           the ledger
  curl${shown} "http://127.0.0.1:8101/accounts"

Kill any of these processes and watch: ${cluster.processIds().join(', ')}
Ctrl-C ends it; the same command goes on with the data in ${DIRECTORY}.

live tail of topic 1:`);
  const live = varlog
    .topic(TOPICS.hello)
    .tail$({ from: 'end' })
    .pipe(handle((entry) => console.log(`  ${entry.glsn}  ${entry.text()}`)))
    .subscribe({ error: (error) => console.error(error) });
  await interrupted;
  console.log('stopping');
  live.unsubscribe();
}

try {
  await using varlog = await Varlog.connect({ endpoints: cluster.endpoints, tls, token });
  await show(varlog);
} finally {
  // Also where one of them could not be started: the others would stay on their ports.
  await Promise.all(
    children.map((child) => {
      if (child.exitCode !== null || child.signalCode !== null) return undefined;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      return gone;
    }),
  );
  await cluster.close();
}
