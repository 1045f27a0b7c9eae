import { type Codec, ownBytes, VarlogError } from '../../base/index.ts';
import * as wire from '../../wire/gen/metadata.ts';
import {
  FIRST_FEATURE_LEVEL,
  KEEPS_ALL,
  type LogStreamState,
  type MetadataSnapshot,
  type ParkedRecord,
  type StorageNodeState,
  type TopicState,
} from '../core/index.ts';
import { retentionOfWire, retentionToWire } from '../retention-codec.ts';

/**
 * Those below are read: 1 and 2 hold JSON, and 1 knows of no holds. What is added to the state under a higher
 * feature level needs no other format: the level says who can read it.
 */
const FORMAT = 3;

/** Snapshots of the metadata. Histories are packed already, and only copied: the rest is small. */
export const snapshotCodec: Codec<MetadataSnapshot> = {
  encode: (snapshot) =>
    wire.Snapshot.encode(
      wire.Snapshot.create({
        format: FORMAT,
        featureLevel: snapshot.featureLevel,
        storageNodes: snapshot.storageNodes.map(wire.StorageNodeState.create),
        unregistered: snapshot.unregistered,
        topics: snapshot.topics.map(topicToMessage),
        deletedTopics: snapshot.deletedTopics.map(topicToMessage),
        logStreams: snapshot.logStreams.map((it) =>
          wire.LogStreamState.create({
            ...it,
            initialMembers: it.initialMembers.map(wire.InitialMember.create),
          }),
        ),
        histories: snapshot.histories.map(({ first, pieces, tail }) =>
          wire.History.create({ first, pieces: [...pieces], tail }),
        ),
        topicIds: idsToMessage(snapshot.topicIds),
        logStreamIds: idsToMessage(snapshot.logStreamIds),
      }),
    ),
  decode: (bytes) => {
    const message = wire.Snapshot.decode(bytes);
    if (message.format > FORMAT) throw tooNew(message.format);
    // Their bytes are kept, and must not keep the whole message.
    const histories = message.histories.map(({ first, pieces, tail }) => {
      // Bytes that are not there are decoded as an array.
      return { first, pieces: pieces.map(ownBytes), tail: ownBytes(Uint8Array.from(tail)) };
    });
    if (message.format < FORMAT) return { ...ofJson(message), histories };
    return {
      featureLevel: message.featureLevel,
      storageNodes: message.storageNodes.map(storageNodeOf),
      unregistered: message.unregistered,
      topics: message.topics.map(topicOf),
      deletedTopics: message.deletedTopics.map(topicOf),
      logStreams: message.logStreams.map(logStreamOf),
      histories,
      topicIds: idsOf(message.topicIds),
      logStreamIds: idsOf(message.logStreamIds),
    };
  },
};

function topicToMessage(state: TopicState): wire.TopicState {
  const { acknowledge, holds, producers, consumers, retention, ...topic } = state;
  return wire.TopicState.create({
    ...topic,
    acknowledgeAll: acknowledge === 'all',
    holds: holds.map(wire.HoldState.create),
    producers: producers.map(wire.ProducerPlace.create),
    consumers: consumers.map(({ parked, ...it }) =>
      wire.ConsumerState.create({ ...it, parked: parked.map(wire.ParkedRecord.create) }),
    ),
    ...retentionToWire(retention),
  });
}

function topicOf(message: wire.TopicState): TopicState {
  const { id, acknowledgeAll, highWatermark, trimmed, holds, logStreams } = message;
  const { producerEpoch, producers, consumerEpoch, consumers } = message;
  return {
    id,
    acknowledge: acknowledgeAll ? 'all' : 'majority',
    highWatermark,
    trimmed,
    holds: holds.map(({ holder, position }) => ({ holder, position })),
    producerEpoch,
    producers: producers.map(({ id: producer, logStream }) => ({ id: producer, logStream })),
    consumerEpoch,
    consumers: consumers.map(({ name, epoch, owner, sequence, began, position, parked }) => {
      return { name, epoch, owner, sequence, began, position, parked: parked.map(parkedOf) };
    }),
    retention: retentionOfWire(message),
    fence: message.fence,
    newestToken: message.newestToken,
    logStreams,
  };
}

function parkedOf({ glsn, attempts, cause, at, replay }: wire.ParkedRecord): ParkedRecord {
  return { glsn, attempts, cause, at, replay };
}

function storageNodeOf(message: wire.StorageNodeState): StorageNodeState {
  const { id, address, disk, formerDisks, removed, draining } = message;
  return { id, address, disk, formerDisks, removed, draining };
}

function logStreamOf(message: wire.LogStreamState): Omit<LogStreamState, 'history'> {
  const { id, topicId, replicas, members, initialMembers, primaryProcess, epoch } = message;
  const { sealed, sealedByOperator, revision, changed, end, lastGlsn, version } = message;
  const { replicationFactor, joining, leaving, preferred } = message;
  return {
    id,
    topicId,
    replicas,
    members,
    replicationFactor: replicationFactor === 0 ? replicas.length : replicationFactor,
    joining,
    leaving,
    preferred,
    initialMembers: initialMembers.map(({ node, disk }) => ({ node, disk })),
    primaryProcess,
    epoch,
    sealed,
    sealedByOperator,
    revision,
    changed,
    end,
    lastGlsn,
    version,
    fence: message.fence,
  };
}

function idsToMessage({ next, above }: MetadataSnapshot['topicIds']): wire.IdPool {
  return wire.IdPool.create({ next, above: [...above] });
}

function idsOf(message: wire.IdPool | null): MetadataSnapshot['topicIds'] {
  return { next: message?.next ?? 1, above: message?.above ?? [] };
}

/** What no log stream had then; copied when the state is restored. */
const NO_MOVES = { joining: [], leaving: [], preferred: 0 };

/** Some names were others then. */
interface OldSnapshot extends Omit<MetadataSnapshot, 'histories' | 'logStreams'> {
  readonly logStreams: readonly (Omit<
    LogStreamState,
    'history' | 'initialMembers' | 'sealedByOperator' | keyof typeof NO_MOVES | 'replicationFactor'
  > & { founders: LogStreamState['initialMembers']; held: boolean })[];
}

function ofJson({ state, format }: wire.Snapshot): Omit<MetadataSnapshot, 'histories'> {
  const snapshot = JSON.parse(state) as OldSnapshot;
  for (const it of [...snapshot.topics, ...snapshot.deletedTopics]) {
    if (format < 2) it.holds = [];
    it.producerEpoch = 0;
    it.producers = [];
    it.consumerEpoch = 0;
    it.consumers = [];
    it.retention = KEEPS_ALL;
    it.fence = 0;
    it.newestToken = 0;
  }
  const logStreams = snapshot.logStreams.map(({ founders, held, ...it }) => {
    const { length: replicationFactor } = it.replicas;
    const names = { initialMembers: founders, sealedByOperator: held };
    return { ...it, ...names, ...NO_MOVES, replicationFactor, fence: 0 };
  });
  for (const it of snapshot.storageNodes ?? []) it.draining = false;
  return { ...snapshot, logStreams, featureLevel: FIRST_FEATURE_LEVEL };
}

function tooNew(format: number): VarlogError {
  return new VarlogError('APPLY_FAILED', {
    what: `a snapshot of the metadata has format ${format}, and this version reads format ${FORMAT}`,
    because: 'other members run another version',
    next: 'start this member with the version that the others run: it resumes where it stopped',
    details: { format, known: FORMAT },
  });
}
