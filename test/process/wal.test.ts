import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ROOT } from './local-processes.ts';
import { TestCluster } from './processes.ts';

/** The sample store as a process that is asked line by line. */
class Store {
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly lines: AsyncIterator<string>;
  private errors = '';

  constructor(command: 'write' | 'follow', directory: string, varlog: string) {
    const path = join(ROOT, 'dist/apps/wal/cli.js');
    const args = [path, command, '--directory', directory, '--varlog', varlog];
    this.child = spawn(process.execPath, args);
    this.child.stderr.on('data', (chunk: Buffer) => {
      this.errors += chunk.toString();
    });
    this.child.stdin.on('error', () => {});
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  /** The next line that it prints; where it ends before, why. */
  async next(): Promise<string> {
    const { value, done } = await this.lines.next();
    if (done !== true) return value;
    if (this.child.exitCode === null && this.child.signalCode === null)
      await once(this.child, 'exit');
    return `ended with ${this.child.exitCode}: ${this.errors}`;
  }

  ask(line: string): Promise<string> {
    this.child.stdin.write(`${line}\n`);
    return this.next();
  }

  /** Begins to write without waiting for the answer. */
  begin(line: string): void {
    this.child.stdin.write(`${line}\n`);
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
  }
}

test('a store that is killed goes on elsewhere, with an empty disk', async () => {
  await using cluster = await TestCluster.start(1);
  await using varlog = await cluster.connect();
  // The records of one store lie in several log streams, and have one order.
  const { id } = await varlog.createTopic({ logStreams: 3 });
  const address = `varlog://${cluster.endpoints.join(',')}/${id}`;
  const folder = mkdtempSync(join(tmpdir(), 'varlog-wal-'));
  const stores: Store[] = [];
  const started = async (command: 'write' | 'follow', name: string): Promise<Store> => {
    const store = new Store(command, join(folder, name), address);
    stores.push(store);
    expect(await store.next()).toBe('ready');
    return store;
  };
  try {
    const first = await started('write', 'first');
    expect(await first.ask('put color blue')).toBe('written at 1');
    expect(await first.ask('put gone soon')).toBe('written at 2');
    expect(await first.ask('delete gone')).toBe('written at 3');
    expect(await first.ask('checkpoint')).toBe('checkpoint at 4');
    const follower = await started('follow', 'follower');
    for (let i = 5; i < 25; i++) expect(await first.ask(`put n ${i}`)).toBe(`written at ${i}`);
    first.begin('put n under-way');
    await first.kill();

    const second = await started('write', 'second');
    expect(await second.ask('get color')).toBe('blue');
    expect(await second.ask('get gone')).toBe('not found');
    expect(['24', 'under-way']).toContain(await second.ask('get n'));
    expect(await second.ask('put n by-second')).toMatch(/^written at 2[56]$/);

    // The folder that was killed in the middle goes on as well; whoever wrote is deposed.
    const third = await started('write', 'first');
    expect(await third.ask('get n')).toBe('by-second');
    const refusal = await second.ask('put n refused');
    expect(refusal).toMatch(/^ended with 5: .*another writer took over/s);
    let followed = await follower.ask('get n');
    while (!followed.endsWith('(0 records behind)')) followed = await follower.ask('get n');
    expect(followed).toBe('by-second (0 records behind)');

    // Killed in the middle of its transactions, again and again: what it said is there, and nothing that it did not write.
    let writer = third;
    let begun = 0;
    for (let round = 0; round < 3; round++) {
      const last = begun + 40;
      while (begun < last) writer.begin(`put n ${++begun}`);
      let said = 0;
      while (said < 5 + 10 * round) {
        expect(await writer.next()).toMatch(/^written at/);
        said++;
      }
      await writer.kill();
      writer = await started('write', 'first');
      const found = Number(await writer.ask('get n'));
      expect(found).toBeGreaterThanOrEqual(last - 40 + said);
      expect(found).toBeLessThanOrEqual(last);
      expect(await writer.ask('checkpoint')).toMatch(/^checkpoint at/);
    }
  } finally {
    await Promise.all(stores.map((it) => it.kill()));
    rmSync(folder, { recursive: true, force: true });
  }
}, 120_000);
