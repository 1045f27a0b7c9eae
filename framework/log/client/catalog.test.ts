import { handler } from '../../base/index.ts';
import { realPorts } from '../../runtime/index.ts';
import { MetadataRepositoryService } from '../../wire/gen/mrpb.ts';
import { Varlog } from './index.ts';
import { serveMember } from './member-server.fixture.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const ports = realPorts({ directory: '.', logLevel: 'silent' });

test('calls that need the metadata of the cluster end in their time where nobody tells it', async () => {
  const server = await serveMember(ports, [
    handler(MetadataRepositoryService.GetMetadata, () => new Promise(() => {})),
  ]);
  closers.push(() => server.close());
  const varlog = await Varlog.connect({ endpoints: server.address, ports });
  closers.push(() => varlog.close());
  const topic = varlog.topic(1);
  const limits = { timeoutMs: 200 };
  const begun = performance.now();
  for (const call of [
    () => varlog.topics(limits),
    () => topic.describe(limits),
    () => topic.append('a', { ...limits, expect: { tail: 0 } }),
    () => topic.append('a', limits),
  ]) {
    await expect(call()).rejects.toMatchObject({ code: 'TIMEOUT' });
  }
  expect(performance.now() - begun).toBeLessThan(5_000);
  await expect(varlog.topics({ timeoutMs: -1 })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
});
