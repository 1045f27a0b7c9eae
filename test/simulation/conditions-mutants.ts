import { ClientChannels } from '../../framework/log/client/client-channels.ts';
import { fence } from '../../framework/log/core/commands/index.ts';
import { KeyTable, NO_CHANGES } from '../../framework/log/core/index.ts';
import { ProducerFile } from '../../framework/log/storage-node/producer-file.ts';
import { LogStreamReplica } from '../../framework/log/storage-node/replica.ts';
import { LogStreams } from '../../framework/wire/gen/log.ts';
import { type PlantedDefect, replace } from './planted-defect.ts';

/** What a table keeps to itself. */
interface Inside {
  newest: Map<number, number>;
}

const inside = (table: KeyTable): Inside => table as unknown as Inside;

/** Has a replica see its log stream in another way when it decides about conditions. */
function sees(
  change: (
    subject: LogStreamReplica['conditionSubject'],
    replica: LogStreamReplica,
  ) => LogStreamReplica['conditionSubject'],
): () => void {
  const name = 'conditionSubject';
  const before = Object.getOwnPropertyDescriptor(LogStreamReplica.prototype, name)!;
  Object.defineProperty(LogStreamReplica.prototype, name, {
    ...before,
    get(this: LogStreamReplica) {
      return change(before.get!.call(this), this);
    },
  });
  return () => Object.defineProperty(LogStreamReplica.prototype, name, before);
}

function whenOpened(change: (producers: ProducerFile) => void): () => void {
  const { open } = ProducerFile;
  return replace(ProducerFile, 'open', async (...options) => {
    const producers = await open.apply(ProducerFile, options);
    change(producers);
    return producers;
  });
}

/** Has primaries hear nothing of fences from clients. */
function withoutTelling(): () => void {
  const { to } = ClientChannels.prototype;
  return replace(ClientChannels.prototype, 'to', function (this: ClientChannels, address) {
    const channel = to.call(this, address);
    const call: typeof channel.call = (method, request, options) =>
      method.path === LogStreams.Fence.path
        ? Promise.resolve({} as never)
        : channel.call(method, request, options);
    return {
      ...channel,
      address,
      call,
      open: channel.open.bind(channel),
      subscribe: channel.subscribe.bind(channel),
      close: () => channel.close(),
    };
  });
}

/** Ways to append what should be refused, or to refuse what should not: each breaks it for everybody until what it returns is called. */
export const CONDITION_MUTANTS: Readonly<Record<string, PlantedDefect>> = {
  'what is not ordered is not seen': () =>
    sees((subject, { core }) => ({ ...subject, end: core.committedEnd })),
  'keys of what is not ordered are not seen': () => {
    const { versionOf } = KeyTable.prototype;
    return replace(KeyTable.prototype, 'versionOf', function (this: KeyTable, hash) {
      const { newest } = inside(this);
      const own = newest.get(hash);
      newest.delete(hash);
      const found = versionOf.call(this, hash);
      if (own !== undefined) newest.set(hash, own);
      return found;
    });
  },
  'the keys of the file are not taken over': () => {
    const { adopt } = KeyTable.prototype;
    return replace(KeyTable.prototype, 'adopt', function (this: KeyTable, { llsn }) {
      adopt.call(this, { llsn, floor: 0, keys: [] });
    });
  },
  'the records behind the file are not looked at': () => {
    const { note } = KeyTable.prototype;
    const opened = new WeakSet<KeyTable>();
    const undoNote = replace(KeyTable.prototype, 'note', function (this: KeyTable, ...record) {
      if (opened.has(this)) note.apply(this, record);
    });
    const undoOpen = whenOpened(({ keys }) => opened.add(keys));
    return () => {
      undoOpen();
      undoNote();
    };
  },
  'a key that was forgotten is taken for a new one': () => {
    const { versionOf } = KeyTable.prototype;
    return replace(KeyTable.prototype, 'versionOf', function (this: KeyTable, hash) {
      const found = versionOf.call(this, hash);
      return found.atMost ? { version: 0, atMost: false } : found;
    });
  },
  'a primary is one token behind': () => {
    const tokens = new WeakMap<LogStreamReplica, { now: number; before: number }>();
    return sees((subject, replica) => {
      const { now, before } = tokens.get(replica) ?? { now: 0, before: 0 };
      const moved = subject.fence === now ? { now, before } : { now: subject.fence, before: now };
      tokens.set(replica, moved);
      return { ...subject, fence: moved.before };
    });
  },
  'primaries are not told of a token': () => {
    const { apply } = fence;
    const undoApply = replace(fence, 'apply', (state, command) => {
      return { ...apply(state, command), changes: NO_CHANGES };
    });
    const undoTelling = withoutTelling();
    return () => {
      undoTelling();
      undoApply();
    };
  },
};
