import { handler } from '../../base/index.ts';
import { realPorts } from '../../runtime/index.ts';
import { freeAddresses } from '../../testing/free-addresses.ts';
import {
  ChangeMembersResponse,
  Failure,
  Member,
  MembersResponse,
  Ordering,
} from '../../wire/gen/log.ts';
import { Varlog } from './index.ts';

describe('a change of the members', () => {
  const ports = realPorts({ directory: '.', logLevel: 'silent' });
  const answers: (() => Promise<ChangeMembersResponse>)[] = [];
  let asked = 0;
  let leadersMs = 0;
  let close: () => Promise<void>;
  let varlog: Varlog;

  beforeAll(async () => {
    const [address] = (await freeAddresses(1)) as [string];
    const members = [Member.create({ id: 1, address })];
    const server = await ports.network.serve(address, [
      handler(Ordering.Members, async () =>
        MembersResponse.create({ clusterId: 1, cluster: 'c', leader: 1, members }),
      ),
      handler(Ordering.ChangeMembers, (request) => {
        asked++;
        leadersMs = request.timeoutMs;
        return answers.shift()!();
      }),
    ]);
    varlog = await Varlog.connect({ endpoints: address, ports });
    close = async () => {
      await varlog.close();
      await server.close();
    };
  });
  afterAll(() => close());

  test('that the leader refuses is refused as it says, at once', async () => {
    const before = asked;
    const failure = Failure.create({
      code: 'UNREACHABLE',
      message: 'UNREACHABLE: nobody is there.',
      outcome: 'notAppended',
    });
    answers.push(async () => ChangeMembersResponse.create({ failure }));
    await expect(varlog.members.add({ id: 2, address: 'b:1' })).rejects.toMatchObject({
      code: 'UNREACHABLE',
      outcome: 'notAppended',
    });
    expect(asked).toBe(before + 1);
  });

  test.each([Infinity, 5e9])(
    'may take long at the leader where its caller waits %p ms',
    async (timeoutMs) => {
      answers.push(async () => ChangeMembersResponse.create({}));
      await varlog.members.remove(2, { timeoutMs });
      expect(leadersMs).toBeGreaterThan(1e9);
    },
  );

  test.each([0, -1, 1.5, Number.NaN, 2 ** 53, '2' as never])('of %p is refused', async (id) => {
    const { members } = varlog;
    const before = asked;
    const member = { id, address: 'b:1' };
    const well = { id: 2, address: 'b:1' };
    for (const change of [
      members.add(member),
      members.move(member),
      members.remove(id),
      members.replace(id, well),
      members.replace(1, member),
    ]) {
      await expect(change).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
    expect(asked).toBe(before);
  });

  test('that is not answered in time may have been carried out, and is not asked for twice', async () => {
    const before = asked;
    answers.push(() => new Promise(() => {}));
    await expect(varlog.members.remove(2, { timeoutMs: 300 })).rejects.toMatchObject({
      code: 'TIMEOUT',
      outcome: 'unknown',
      message: expect.stringContaining('may have been carried out'),
    });
    expect(asked).toBe(before + 1);
  });
});
