import { cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Topic, VarlogError } from 'varlog/log';
import { GrpcNetwork } from '../../framework/runtime/index.ts';
import * as snpb from '../../framework/wire/gen/snpb.ts';
import { eventually, TestCluster, textsOf, whole } from './processes.ts';

/** A client that appends one record after the other until it is stopped, whatever happens. */
class Writer {
  /** What was acknowledged, by GLSN. */
  readonly acknowledged = new Map<number, string>();
  private readonly name: string;
  private readonly done: Promise<void>;
  private stopped = false;

  constructor(topic: Topic, name: string) {
    this.name = name;
    this.done = this.run(topic);
  }

  stop(): Promise<void> {
    this.stopped = true;
    return this.done;
  }

  private async run(topic: Topic): Promise<void> {
    for (let i = 0; !this.stopped; i++) {
      const text = `${this.name} ${i} ${'x'.repeat(200)}`;
      try {
        const { glsn } = await topic.append(text, { timeoutMs: 20_000 });
        this.acknowledged.set(glsn, text);
      } catch (error) {
        // It may be there or not, and is not tried again.
        if (!VarlogError.is(error)) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}

/** Every record of a log stream on one node, as GLSN and text, by the published way. */
async function readReplica(
  network: GrpcNetwork,
  address: string,
  request: { topicId: number; logStreamId: number; glsnEnd: number },
): Promise<Map<number, string>> {
  const found = new Map<number, string>();
  const channel = network.connect(address);
  try {
    const { Subscribe } = snpb.LogIO;
    const wanted = snpb.SubscribeRequest.create({ ...request, glsnBegin: 1 });
    const stream = channel.subscribe(Subscribe, wanted);
    stream.receive(({ glsn, payload }) => {
      expect(glsn).toBeGreaterThan([...found.keys()].at(-1) ?? 0);
      found.set(glsn, new TextDecoder().decode(payload));
    });
    await stream.closed;
  } finally {
    channel.close();
  }
  return found;
}

/** Changes a byte in the middle of a file's content: files are longer than what was written to them. */
function damageMiddle(path: string): void {
  const bytes = readFileSync(path);
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  expect(end).toBeGreaterThan(0);
  bytes[Math.floor(end / 2)]! ^= 0x55;
  writeFileSync(path, bytes);
}

const segmentOf = (folder: string): string =>
  join(folder, readdirSync(folder).find((it) => it.endsWith('.segment'))!);

test('whatever happens to the disk of one node at a time, the copies are whole again by themselves', async () => {
  await using cluster = await TestCluster.start(3);
  await using varlog = await cluster.connect();
  const topic = await varlog.createTopic({ logStreams: 2 });
  const writers = ['a', 'b'].map((it) => new Writer(topic, it));
  const written = (): number => writers.reduce((sum, it) => sum + it.acknowledged.size, 0);
  /** So that there is something to lose, and something that an older copy lacks. */
  const more = async (): Promise<void> => {
    const before = written();
    await eventually(async () => {
      if (written() < before + 200) throw new Error(`${written() - before} more were written`);
    }, 60_000);
  };
  /** Ends a node at once, has its disk changed, and starts it again. */
  const strike = async (id: number, change: (storage: string) => void): Promise<void> => {
    await more();
    await cluster.nodes[id - 1]!.end('SIGKILL');
    change(join(cluster.folderOf(id), `storage-${id}`));
    cluster.nodes[id - 1]!.start();
  };

  const older = join(cluster.folderOf(2), 'older');
  await strike(2, (it) => {
    // A lock is a socket, which is of the machine and not of the folder.
    cpSync(it, older, { recursive: true, filter: (path) => !path.includes('LOCK') });
    rmSync(join(it, 'replicas', '1'), { recursive: true });
  });
  await whole(varlog);

  await strike(3, (it) => rmSync(join(it, 'replicas'), { recursive: true }));
  const endpoints = ['--endpoints', cluster.endpoints.join(',')];
  const operator = cluster.processes.program('framework/node/cli.js', [
    'repair',
    '--seconds',
    '120',
    ...endpoints,
  ]);
  operator.start();
  const code = await operator.ended();
  expect({ code, output: operator.output }).toMatchObject({ code: 0 });
  await whole(varlog);

  await strike(1, (it) => damageMiddle(segmentOf(join(it, 'replicas', '2', 'records'))));
  await whole(varlog);
  expect(cluster.nodes[0]!.output).toMatch(/CORRUPT: \S+replicas\/2\/records/);

  await strike(2, (it) => {
    rmSync(it, { recursive: true });
    renameSync(older, it);
  });
  await whole(varlog);

  await strike(3, (it) => {
    damageMiddle(join(it, 'replicas', '1', 'state'));
    damageMiddle(segmentOf(join(it, 'replicas', '2', 'commits')));
  });
  await whole(varlog);
  expect(cluster.nodes[2]!.output).toMatch(/CORRUPT: \S+replicas\/1\/state/);
  // Commits are written now and then: where there was one write of them, damage to it looks like its torn end, and is cut.
  await more();
  for (const it of writers) await it.stop();
  await whole(varlog);

  const { last } = await topic.watermarks();
  const texts = await textsOf(topic);
  expect(new Set(texts).size).toBe(texts.length);
  const network = new GrpcNetwork();
  const { logStreams } = await topic.describe();
  const copies = await Promise.all(
    cluster.endpoints.map(async (address) => {
      const copy = new Map<number, string>();
      for (const { id } of logStreams) {
        const request = { topicId: topic.id, logStreamId: id, glsnEnd: last + 1 };
        for (const [glsn, text] of await readReplica(network, address, request)) {
          copy.set(glsn, text);
        }
      }
      return [...copy].sort(([a], [b]) => a - b);
    }),
  );
  for (const copy of copies) {
    expect(copy.map(([, text]) => text)).toEqual(texts);
    const byGlsn = new Map(copy);
    for (const { acknowledged } of writers) {
      for (const [glsn, text] of acknowledged) expect(byGlsn.get(glsn)).toBe(text);
    }
  }
}, 300_000);
