import { type Handler, handler, type Ports, type Server } from '../../base/index.ts';
import { Member, MembersResponse, Ordering } from '../../wire/gen/log.ts';

/** Serves what a client asks first of the only member of a metadata repository, which leads; and whatever else is given. */
export async function serveMember(
  { network }: Pick<Ports, 'network'>,
  handlers: readonly Handler[],
): Promise<Server> {
  const server: Server = await network.serve('127.0.0.1:0', [
    handler(Ordering.Members, async () =>
      MembersResponse.create({
        clusterId: 1,
        cluster: 'c',
        leader: 1,
        members: [Member.create({ id: 1, address: server.address })],
      }),
    ),
    ...handlers,
  ]);
  return server;
}
