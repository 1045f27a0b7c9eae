import { VarlogError } from '../../base/index.ts';
import { FakeCluster } from '../../log/client/fake-cluster.fixture.ts';
import { GrpcNetwork } from '../../runtime/index.ts';
import { varlog } from '../in-process-cli.fixture.ts';

test('a read of what no replica serves says why while it waits, and ends', async () => {
  const cluster = await FakeCluster.start(new GrpcNetwork(), [[1], [2]]);
  try {
    cluster.commit(1, ['a']);
    cluster.commit(2, ['b']);
    cluster.beforeReadMessage = (_, logStream) => {
      if (logStream === 2) throw new VarlogError('UNAVAILABLE', { what: 'every copy is damaged' });
    };
    const args = ['--endpoints', cluster.endpoint, 'read', '1', '--wait', '1s'];
    const { code, out, err } = await varlog(args);
    expect(out).toBe('1\ta\n');
    expect(err).toMatch(/\[reconnecting: .*every copy is damaged/);
    expect(err).toMatch(/TIMEOUT: record 2 of topic 1 was not read within 1000 ms \(.*every copy/);
    expect(code).not.toBe(0);
  } finally {
    await cluster.close();
  }
}, 30_000);
