import { GrpcNetwork } from '../runtime/index.ts';
import { freeAddresses } from './free-addresses.ts';

const network = new GrpcNetwork();

test('addresses are free, and are not given out a second time soon', async () => {
  const given = [...(await freeAddresses(3)), ...(await freeAddresses(3))];
  expect(new Set(given).size).toBe(6);
  const servers = await Promise.all(given.map((it) => network.serve(it, [])));
  await Promise.all(servers.map((it) => it.close()));
});

test('what something listens on is passed over', async () => {
  const [address] = await freeAddresses(1);
  const following = `127.0.0.1:${Number(address!.split(':')[1]) + 1}`;
  const server = await network.serve(following, []);
  expect(await freeAddresses(2)).not.toContain(following);
  await server.close();
});
