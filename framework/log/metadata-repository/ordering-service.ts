import {
  type Handler,
  handler,
  isTcpAddress,
  type MessageStream,
  VarlogError,
} from '../../base/index.ts';
import {
  type ChangeMembersRequest,
  ChangeMembersResponse,
  ExecuteResponse,
  Failure,
  type Hello,
  HoldResponse,
  HoldState,
  HoldsResponse,
  ChangeMembersRequestKind as Kind,
  LogStreamFence,
  Member,
  MembersResponse,
  type OpenProducerRequest,
  OpenProducerResponse,
  Ordering,
  RestoreTopicResponse,
  type SessionRequest,
  type SessionResponse,
  TailResponse,
  TrimResponse,
} from '../../wire/gen/log.ts';
import {
  holdsOf,
  type Metadata,
  type MetadataCommand,
  NEWEST_FEATURE_LEVEL,
  noTopic,
  STORAGE_NODES_AGREE_FROM,
} from '../core/index.ts';
import { commandCodec } from '../metadata-codec.ts';
import { retentionToWire } from '../retention-codec.ts';
import { atLeader } from './at-leader.ts';
import { describeConsumers } from './describe-consumers.ts';
import { describeHealth } from './describe-health.ts';
import { serveFence } from './fence-service.ts';
import type { Orderer } from './orderer.ts';
import { replaceNode } from './replace-node.ts';
import type { MemberOrder, RepositoryAccess } from './repository-access.ts';
import type { StorageNodeLink } from './storage-node-link.ts';

const AS_CLIENT = { sender: 'client' } as const;

/** The service `varlog.log.Ordering`: what storage nodes and clients ask of the repository. */
export function orderingHandlers(repository: RepositoryAccess): Handler[] {
  return [
    handler(Ordering.Session, (stream) => serveStorageNodeLink(repository, stream)),
    handler(Ordering.Tail, ({ topicId }) =>
      repository.read((metadata) => {
        const topic = metadata.topics.get(topicId);
        if (topic === undefined) throw unknownTopic(metadata, topicId);
        return TailResponse.create({ glsn: topic.highWatermark, firstGlsn: topic.trimmed + 1 });
      }),
    ),
    handler(Ordering.Trim, async ({ topicId, glsn, force }) => {
      await repository.execute({ kind: 'trim', topicId, glsn, force }, AS_CLIENT);
      return TrimResponse.create({});
    }),
    handler(Ordering.Hold, async ({ topicId, holder, position, release }) => {
      const until = release ? {} : { position };
      await repository.execute({ kind: 'hold', topicId, holder, ...until }, AS_CLIENT);
      return HoldResponse.create({});
    }),
    handler(Ordering.Holds, ({ topicId }) =>
      repository.read((metadata) => {
        const topic = metadata.topics.get(topicId);
        if (topic === undefined) throw unknownTopic(metadata, topicId);
        return HoldsResponse.create({
          holds: holdsOf(topic).map(({ holder, position, isConsumer: consumer }) =>
            HoldState.create({ holder, position, consumer }),
          ),
          ...retentionToWire(topic.retention),
          fence: topic.fence,
          fences: topic.logStreams.map((id) =>
            LogStreamFence.create({ logStreamId: id, token: metadata.logStreams.get(id)!.fence }),
          ),
        });
      }),
    ),
    handler(Ordering.Consumers, (request) => describeConsumers(repository, request)),
    handler(Ordering.OpenProducer, (request) => openProducer(repository, request)),
    handler(Ordering.Fence, (request) => serveFence(repository, request)),
    handler(Ordering.ReplaceStorageNode, (request) => replaceNode(repository, request)),
    handler(Ordering.RestoreTopic, async ({ topicId: id }) => {
      await repository.execute({ kind: 'restoreTopic', id });
      return RestoreTopicResponse.create({});
    }),
    handler(Ordering.Execute, async ({ command }) =>
      ExecuteResponse.create({ value: await repository.execute(commandOf(command)) }),
    ),
    handler(Ordering.Health, async () => {
      const orderer = await repository.confirmedOrderer();
      return describeHealth(repository.metadata, orderer);
    }),
    handler(Ordering.Members, async () => describeMembers(repository)),
    atLeader(
      repository,
      Ordering.ChangeMembers,
      async (request, signal) => {
        const { timeoutMs } = request;
        const changed = repository.memberChanges.change(memberOrder(request), {
          timeoutMs,
          signal,
        });
        const failure = await changed.then(() => null, failureOf);
        return ChangeMembersResponse.create({ failure });
      },
      ({ timeoutMs }) => timeoutMs,
    ),
  ];
}

function describeMembers(repository: RepositoryAccess): MembersResponse {
  repository.throwIfFailed();
  return MembersResponse.create({
    clusterId: repository.options.clusterId,
    members: repository.members.map((it) => Member.create({ ...it })),
    self: Member.create({ ...selfOf(repository) }),
    change: repository.memberChanges.underWay ?? '',
    leader: repository.status.leader?.id ?? 0,
    cluster: repository.cluster ?? '',
    trouble: repository.trouble ?? '',
    supportedLevel: repository.metadata.supportedLevel,
    featureLevel: repository.metadata.featureLevel,
  });
}

async function openProducer(
  repository: RepositoryAccess,
  { topicId, producer }: OpenProducerRequest,
): Promise<OpenProducerResponse> {
  const command = { kind: 'openProducer', topicId, producer } as const;
  const epoch = await repository.execute(command, AS_CLIENT);
  const logStreamId = await repository.read((metadata) => {
    const known = metadata.topics.get(topicId)?.producers.find((it) => it.id === producer);
    if (known === undefined) throw unknownTopic(metadata, topicId);
    return known.logStream;
  });
  return OpenProducerResponse.create({ epoch, logStreamId });
}

/** What is said of a change; throws what is a matter of this member only. */
function failureOf(error: unknown): Failure {
  if (!VarlogError.is(error) || error.code === 'NOT_LEADER') throw error;
  return Failure.create({
    code: error.code,
    message: error.message,
    outcome: error.outcome ?? 'unknown',
    details: JSON.stringify(error.details),
  });
}

/** This member, where the others are to reach it. */
function selfOf({ options }: RepositoryAccess): { id: number; address: string } | undefined {
  return options.members.find((it) => it.id === options.memberId);
}

/** Throws `INVALID_ARGUMENT` for what cannot be asked for. */
function memberOrder({ kind, member, replaces }: ChangeMembersRequest): MemberOrder {
  const { id = 0, address = '' } = member ?? {};
  const isKnown = [Kind.ADD, Kind.MOVE, Kind.REMOVE].includes(kind);
  if (!isKnown || id < 1 || (kind !== Kind.REMOVE && !isTcpAddress(address))) {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `a change of the members of kind ${kind}, for member ${id} at "${address}", makes no sense`,
      next: 'name the member by its id from 1 on, and where it is to be added or moved its host:port',
      outcome: 'notAppended',
    });
  }
  if (kind === Kind.REMOVE) return { kind: 'remove', id };
  if (kind === Kind.MOVE) return { kind: 'move', member: { id, address } };
  return { kind: 'add', member: { id, address }, replaces: replaces === 0 ? undefined : replaces };
}

/** Runs until the node leaves, or this member stops leading. */
async function serveStorageNodeLink(
  repository: RepositoryAccess,
  stream: MessageStream<SessionResponse, SessionRequest>,
): Promise<void> {
  let open: { link: StorageNodeLink; orderer: Orderer } | undefined;
  let isOver = false;
  let refused: (error: unknown) => void = () => {};
  const refusal = new Promise<never>((_, reject) => {
    refused = reject;
  });
  stream.receive((message) => {
    if (open !== undefined) return open.orderer.receive(open.link, message);
    return openLink(repository, stream, message.hello).then((opened) => {
      open = opened;
      // It left in the meantime: nobody else will say so.
      if (isOver) opened.orderer.closed(opened.link);
      else opened.orderer.receive(opened.link, message);
    }, refused);
  });
  try {
    await Promise.race([stream.closed, refusal]);
  } finally {
    isOver = true;
    open?.orderer.closed(open.link);
  }
}

async function openLink(
  repository: RepositoryAccess,
  stream: MessageStream<SessionResponse, SessionRequest>,
  hello: Hello | null,
): Promise<{ link: StorageNodeLink; orderer: Orderer }> {
  const { clusterId } = repository.options;
  if (hello === null) {
    throw new VarlogError('INVALID_ARGUMENT', { what: 'a session must begin with a hello' });
  }
  if (hello.clusterId !== clusterId) {
    throw new VarlogError('CLUSTER_MISMATCH', {
      what: `storage node ${hello.storageNodeId} belongs to cluster ${hello.clusterId}, not to ${clusterId}`,
      next: 'check clusterId and members in its configuration',
    });
  }
  const { storageNodeId: id, address, disk } = hello;
  if (disk === '') {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `storage node ${id} does not name its disk`,
    });
  }
  let orderer = await repository.confirmedOrderer();
  orderer.admit(hello);
  refuseOutdated(hello, repository.metadata.featureLevel);
  const known = repository.metadata.storageNodes.get(id);
  if (known?.address !== address || known.disk !== disk) {
    const hello = { kind: 'registerStorageNode', id, address, disk, move: true } as const;
    await repository.execute(hello, { sender: 'storageNode' });
    orderer = await repository.confirmedOrderer();
  }
  return { link: orderer.open(hello, stream), orderer };
}

/** What the cluster has agreed on, its storage nodes rely on of each other. */
function refuseOutdated({ storageNodeId, supportedLevel }: Hello, featureLevel: number): void {
  if (featureLevel < STORAGE_NODES_AGREE_FROM || supportedLevel >= featureLevel) return;
  throw new VarlogError('FAILED_PRECONDITION', {
    what: `the cluster has agreed on feature level ${featureLevel}, which the version of storage node ${storageNodeId} does not support`,
    next: 'start the node with the version that the others run',
    details: { featureLevel, supportedLevel },
  });
}

const { decode } = commandCodec(NEWEST_FEATURE_LEVEL);

function commandOf(bytes: Uint8Array): MetadataCommand {
  try {
    return decode(bytes);
  } catch (cause) {
    throw new VarlogError('UNIMPLEMENTED', {
      what: 'this metadata repository member does not know the command',
      because: 'whoever sends it may be of a newer version',
      next: 'upgrade the members of the metadata repository',
      outcome: 'notAppended',
      cause,
    });
  }
}

function unknownTopic({ topics }: Metadata, id: number): VarlogError {
  const { code, what, next } = noTopic(id, topics.keys());
  return new VarlogError(code, { what, next });
}
