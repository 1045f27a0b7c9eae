import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { freeAddresses } from 'varlog/testing';

const run = promisify(execFile);
const PROGRAMS = ['radosgw', 'radosgw-admin', 'ceph', 'ceph-mon', 'ceph-osd', 'monmaptool'];
const START_MS = 120_000;

/** The object gateway of Ceph, which speaks the protocol of Amazon S3, over disks in memory. */
export interface ObjectGateway {
  readonly endpoint: string;
  /** Of a user who may make buckets, and of one who may not, and has none. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly stranger: ObjectGateway['credentials'];
  /** A client without retries, to look at what is there. */
  readonly client: S3Client;
  /** The name of a new, empty bucket. */
  freshBucket(): Promise<string>;
}

/** Describes tests against a gateway of their own, or says why they are skipped. */
export function describeGateway(name: string, tests: (gateway: () => ObjectGateway) => void): void {
  const folders = ['/usr/bin', '/usr/local/bin'];
  const isInstalled = PROGRAMS.every((it) =>
    folders.some((folder) => existsSync(join(folder, it))),
  );
  if (!isInstalled) {
    const none = (): void => tests(() => undefined as never);
    describe.skip(`${name} (not installed: apt-get install radosgw ceph-mon ceph-osd)`, none);
    return;
  }
  describe(name, () => {
    const gateway = new Gateway();
    beforeAll(() => gateway.start(), START_MS);
    tests(() => gateway);
    afterAll(() => gateway.close(), START_MS);
  });
}

class Gateway implements ObjectGateway {
  endpoint = '';
  client!: S3Client;
  readonly credentials = { accessKeyId: 'varlog', secretAccessKey: 'secret' };
  readonly stranger = { accessKeyId: 'stranger', secretAccessKey: 'secret' };
  private readonly children: ChildProcess[] = [];
  private folder = '';
  private buckets = 0;

  async start(): Promise<void> {
    this.folder = await mkdtemp(join(tmpdir(), 'varlog-ceph-'));
    const [monitor, address] = (await freeAddresses(2)) as [string, string];
    const [cluster, disk] = [randomUUID(), randomUUID()];
    const at = (name: string): string => join(this.folder, name);
    await writeFile(at('ceph.conf'), configuration(this.folder, cluster, monitor));
    await writeFile(at('keyring'), '');
    await mkdir(at('mon'));
    await mkdir(at('osd'));
    const conf = ['-c', at('ceph.conf')];
    const map = at('monmap');
    await run('monmaptool', ['--create', '--addv', 'a', `[v2:${monitor}]`, '--fsid', cluster, map]);
    await run('ceph-mon', [...conf, '--mkfs', '-i', 'a', '--monmap', map]);
    this.spawn('ceph-mon', [...conf, '-i', 'a', '-f']);
    await run('ceph', [...conf, 'osd', 'new', disk]);
    await run('ceph-osd', [...conf, '-i', '0', '--mkfs', '--osd-uuid', disk]);
    this.spawn('ceph-osd', [...conf, '-i', '0', '-f']);
    for (const { accessKeyId, secretAccessKey } of [this.credentials, this.stranger]) {
      const keys = ['--access-key', accessKeyId, '--secret-key', secretAccessKey];
      const user = ['user', 'create', '--uid', accessKeyId, '--display-name', accessKeyId];
      await run('radosgw-admin', [...conf, ...user, ...keys]);
    }
    this.spawn('radosgw', [
      ...[...conf, '-n', 'client.rgw.a', '-f', '--rgw-data', this.folder],
      ...['--rgw-frontends', `beast endpoint=${address}`],
    ]);
    this.endpoint = `http://${address}`;
    const { endpoint, credentials } = this;
    const region = 'us-east-1';
    const options = { endpoint, credentials, region, forcePathStyle: true, maxAttempts: 1 };
    this.client = new S3Client(options);
    while (!(await this.isUp())) await new Promise((resolve) => setTimeout(resolve, 100));
  }

  async freshBucket(): Promise<string> {
    const Bucket = `bucket-${++this.buckets}`;
    await this.client.send(new CreateBucketCommand({ Bucket }));
    return Bucket;
  }

  async close(): Promise<void> {
    this.client?.destroy();
    for (const child of this.children.reverse()) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      if (child.exitCode === null && child.kill('SIGKILL')) await ended;
    }
    if (this.folder !== '') await rm(this.folder, { recursive: true });
  }

  private async isUp(): Promise<boolean> {
    // Also where the test gave up waiting, and closed it.
    const dead = this.children.find((it) => it.exitCode !== null || it.signalCode !== null);
    if (dead !== undefined) throw new Error(`${dead.spawnfile} ended`);
    return fetch(this.endpoint).then(
      ({ ok }) => ok,
      () => false,
    );
  }

  private spawn(program: string, args: readonly string[]): void {
    this.children.push(spawn(program, args, { stdio: 'ignore' }));
  }
}

/** One copy, in memory, without passwords inside of the cluster. */
function configuration(folder: string, cluster: string, monitor: string): string {
  return `[global]
fsid = ${cluster}
mon host = v2:${monitor}/0
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 1073741824
mon allow pool size one = true
mon data avail crit = 1
mon data = ${folder}/mon
osd data = ${folder}/osd
keyring = ${folder}/keyring
run dir = ${folder}
admin socket =
log file = ${folder}/$name.log
`;
}
