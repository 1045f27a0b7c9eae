import { Etcd3 } from 'etcd3';
import { MemoryLog } from 'varlog/testing';
import { startStore } from '../store.fixture.ts';

describe('the client etcd3, as it comes', () => {
  test('reads, writes, compares, and ends what it has leased', async () => {
    await using store = await startStore();
    const client = new Etcd3({ hosts: store.grpc });
    await client.put('a').value('1');
    expect(await client.get('a').string()).toBe('1');
    expect(await client.get('a').exec()).toMatchObject({
      count: '1',
      kvs: [{ create_revision: '2', mod_revision: '2', version: '1' }],
    });
    await client.put('dir/b').value(Buffer.of(0xff, 0));
    await client.put('dir/c').value('3');
    expect(await client.getAll().prefix('dir/').buffers()).toEqual({
      'dir/b': Buffer.of(0xff, 0),
      'dir/c': Buffer.from('3'),
    });
    expect(await client.getAll().prefix('dir/').limit(1).sort('Key', 'Descend').keys()).toEqual([
      'dir/c',
    ]);
    const create = () =>
      client.if('x', 'Create', '==', 0).then(client.put('x').value('new')).else(client.get('x'));
    expect(await create().commit()).toMatchObject({ succeeded: true });
    expect(await create().commit()).toMatchObject({
      succeeded: false,
      responses: [{ response_range: { kvs: [{ value: Buffer.from('new') }] } }],
    });
    const lease = client.lease(600, { autoKeepAlive: false });
    await lease.put('leased').value('1');
    expect(await lease.keepaliveOnce()).toMatchObject({ TTL: '600' });
    await lease.revoke();
    expect(await client.get('leased').string()).toBeNull();
    expect(await client.delete().prefix('dir/').exec()).toMatchObject({ deleted: '2' });
    const lock = client.lock('lock').ttl(600);
    await lock.acquire();
    await expect(client.lock('lock').ttl(600).acquire()).rejects.toThrow('lock');
    await lock.release();
    await client.stm().transact(async (tx) => {
      await tx.put('a').value(`${await tx.get('a').string()}${await tx.get('x').string()}`);
    });
    expect(await client.get('a').string()).toBe('1new');
    client.close();
  });

  test('watches on at another replica when one ends: each change once, in order', async () => {
    const log = new MemoryLog();
    const [one, two] = [await startStore(log), await startStore(log)];
    const client = new Etcd3({ hosts: [one.grpc, two.grpc] });
    const watcher = await client.watch().prefix('w').create();
    const seen: string[] = [];
    const [first, other] = one.service.watchers > 0 ? [one, two] : [two, one];
    const enough = new Promise<void>((resolve, reject) => {
      watcher.on('put', ({ value }) => {
        seen.push(value.toString());
        if (seen.length === 20) resolve();
      });
      watcher.on('error', reject);
    });
    for (let i = 0; i < 20; i++) {
      await other.service.put('w', Buffer.from(`${i}`));
      if (i === 10) await first.end();
    }
    await enough;
    expect(seen).toEqual(Array.from({ length: 20 }, (_, i) => `${i}`));
    await watcher.cancel();
    client.close();
    await other.end();
  });
});
