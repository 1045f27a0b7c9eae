import {
  attributesOf,
  type BatchAttributes,
  type Clock,
  type Disk,
  decodeBatch,
  encodeBatch,
  type Headers,
  joined,
} from '../../framework/base/index.ts';
import {
  beginOfExport,
  endOfExport,
  exportBatch,
  readExport,
} from '../../framework/log/client/export-format.ts';
import { CommitTable } from '../../framework/log/storage-node/commit-table.ts';
import { RaftStorage } from '../../framework/raft/storage.ts';
import { Admission, type AdmissionState } from '../../framework/smr/admission.ts';
import { DiskSnapshotStore } from '../../framework/smr/disk-snapshot-store.ts';
import { restoreTurns } from '../../framework/smr/restore-turns.ts';
import { Rules } from '../../framework/smr/rules.ts';
import { encodeSnapshot } from '../../framework/smr/snapshot-format.ts';
import { readSnapshot } from '../../framework/smr/snapshot-reader.ts';
import {
  DirectoryIdentity,
  type Frame,
  Journal,
  SegmentedLog,
  StateFile,
  type ValueFormat,
  WriteAheadDisk,
} from '../../framework/store/index.ts';

/** Something that this package keeps in files: how it is made, and what is read from it. */
export interface Sample {
  readonly name: string;
  /** The newest version of its format. */
  readonly version: number;
  /** Older versions, whose files are still read. */
  readonly older: readonly number[];
  write(disk: Disk, clock: Clock): Promise<void>;
  /** What the files hold, as values that survive JSON. */
  read(disk: Disk, clock: Clock): Promise<unknown>;
  /** What {@link read} must find in files of a version. */
  content(version: number): unknown;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const asBytes: ValueFormat<Uint8Array> = { encode: (it) => it, decode: (it) => it };
const text = (of: Uint8Array | undefined): string => new TextDecoder().decode(of);
const TIME = 1_700_000_000_000;

async function* inChunks(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

async function textOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  let found = '';
  for await (const chunk of chunks) found += text(chunk);
  return found;
}

interface FrameContent {
  readonly position: number;
  readonly count: number;
  readonly epoch: number;
  readonly timestamp: number;
  readonly payload: string;
}

const asContent = ({ position, count, epoch, timestamp = 0, payload }: Frame): FrameContent => ({
  position,
  count,
  epoch,
  timestamp,
  payload: text(payload),
});
const asFrame = (it: FrameContent): Frame => ({ ...it, payload: bytes(it.payload) });
/** Frames of the first version have no timestamp. */
const asWritten = (frames: readonly FrameContent[], version: number): FrameContent[] =>
  frames.map((it) => (version === 1 ? { ...it, timestamp: 0 } : it));

const FRAMES: readonly FrameContent[] = [
  { position: 1, count: 2, epoch: 1, timestamp: TIME, payload: 'first' },
  { position: 3, count: 1, epoch: 1, timestamp: TIME + 1, payload: '' },
  { position: 4, count: 3, epoch: 2, timestamp: TIME + 1, payload: 'of a new epoch'.repeat(10) },
  { position: 7, count: 1, epoch: 7_000_000_000, timestamp: TIME + 9, payload: 'of a new segment' },
];

async function framesOf(log: Pick<SegmentedLog, 'first' | 'end' | 'read'>): Promise<unknown[]> {
  const found: unknown[] = [];
  for (let next = log.first; next <= log.end; ) {
    const frames = await log.read(next, 1024);
    found.push(...frames.map(asContent));
    const last = frames.at(-1)!;
    next = last.position + last.count;
  }
  return found;
}

const log: Sample = {
  name: 'log',
  version: 2,
  older: [1],
  async write(disk) {
    const made = await openLog(disk);
    for (const it of FRAMES) {
      made.append([asFrame(it)]);
      await made.flush();
    }
    await made.close();
  },
  async read(disk) {
    const opened = await openLog(disk);
    try {
      return await framesOf(opened);
    } finally {
      await opened.close();
    }
  },
  content: (version) => asWritten(FRAMES, version),
};

export function openLog(disk: Disk): Promise<SegmentedLog> {
  return SegmentedLog.open({ disk, directory: '.', label: 'a log', segmentBytes: 4096 + 340 });
}

const journal: Sample = {
  name: 'journal',
  version: 2,
  older: [1],
  async write(disk) {
    const made = await openJournal(disk);
    const [one, other] = [await made.open('one log'), await made.open('another log')];
    one.append(FRAMES.slice(0, 2).map(asFrame));
    await one.flushed(one.end);
    await one.write(bytes('a value'));
    other.append(FRAMES.slice(0, 1).map(asFrame));
    await other.flushed(other.end);
    await other.trimHead(3);
    await one.move();
    await made.close();
  },
  async read(disk) {
    const opened = await openJournal(disk);
    const [one, other] = [await opened.open('one log'), await opened.open('another log')];
    const found = {
      one: { first: one.first, value: text(one.value), frames: await framesOf(one) },
      other: { first: other.first, frames: await framesOf(other) },
    };
    await opened.close();
    return found;
  },
  content: (version) => ({
    one: { first: 1, value: 'a value', frames: asWritten(FRAMES.slice(0, 2), version) },
    other: { first: 3, frames: [] },
  }),
};

function openJournal(disk: Disk): Promise<Journal> {
  return Journal.open({ disk, directory: '.', label: 'a journal' });
}

/** A folder whose process was killed before it brought to two files what it had written ahead. */
const writeAhead: Sample = {
  name: 'write-ahead',
  version: 1,
  older: [],
  async write(disk, clock) {
    const ahead = await openWriteAhead(disk, clock);
    const [one, other] = [
      await ahead.open('d/one', 'create'),
      await ahead.open('d/other', 'create'),
    ];
    for (const file of [one, other]) await file.write(0, [bytes('........')]);
    // The log is made beside the first write, in its own place.
    await one.writeDurably(0, [bytes('a')]);
    while (ahead.holds.length === 0) await Promise.resolve();
    await one.writeDurably(1, [bytes('b'), bytes('cd')]);
    await other.writeDurably(
      4,
      [bytes('not here')].map((it) => it.subarray(0, 4)),
    );
    await other.truncate(8);
    await other.writeDurably(0, [bytes('1234')]);
  },
  async read(disk, clock) {
    const ahead = await openWriteAhead(disk, clock);
    const found: Record<string, string> = {};
    for (const name of ['one', 'other']) {
      const file = await ahead.open(`d/${name}`, 'read');
      found[name] = text(await file.read(0, 100));
      await file.close();
    }
    await ahead.close();
    return found;
  },
  content: () => ({ one: 'abcd....', other: '1234not ' }),
};

async function openWriteAhead(disk: Disk, clock: Clock): Promise<WriteAheadDisk> {
  const owner = { clusterId: 1, nodeId: 1, kind: 'storage node' };
  const mark = await DirectoryIdentity.claim(disk, 'd', owner, 'a disk');
  const logger = { log: () => {} };
  const place = { folder: 'd', label: 'a disk', mark, onFailure: () => {} };
  return WriteAheadDisk.open({ disk, clock, logger, ...place, togetherMin: 1, fileBytes: 1024 });
}

const state: Sample = {
  name: 'state',
  version: 1,
  older: [],
  async write(disk) {
    await (await StateFile.open(disk, 'state', 'a state', asBytes)).write(bytes('the value'));
  },
  async read(disk) {
    return text((await StateFile.open(disk, 'state', 'a state', asBytes)).value);
  },
  content: () => 'the value',
};

const snapshot: Sample = {
  name: 'snapshot',
  version: 1,
  older: [],
  async write(disk) {
    const store = new DiskSnapshotStore(disk);
    await store.id('an-id');
    await store.save(4_294_967_297, inChunks(bytes('the '), bytes('state')));
  },
  async read(disk) {
    const store = new DiskSnapshotStore(disk);
    const { position, chunks } = (await store.load())!;
    return { id: await store.id('another-id'), position, state: await textOf(chunks) };
  },
  content: () => ({ id: 'an-id', position: 4_294_967_297, state: 'the state' }),
};

const OWNER = { log: 'a log', machine: 'a machine' };
const STATE = {
  position: 4_294_967_299,
  admission: {
    ...{ time: TIME + 500, forgotten: 5, seen: 4_294_967_298, skipped: [8] },
    ...{ rules: 0, timers: [], timersMade: 0, skippedTimers: [] },
    sessions: [
      {
        ...{ id: 1, usedAt: TIME, usedPosition: 12, acked: 2, clock: TIME + 1 },
        results: [
          { sequence: 2, result: bytes('a result'), refusal: '' },
          { sequence: 3, result: new Uint8Array(), refusal: 'skipped' },
        ],
      },
      {
        ...{ id: 4_294_967_297, usedAt: TIME + 500, usedPosition: 4_294_967_299 },
        ...{ acked: 0, clock: 5, results: [] },
      },
    ],
    timersMade: 3,
    timers: [{ id: 3, at: TIME + 1_000, command: bytes('a command') }],
    skippedTimers: [2],
    requests: [
      {
        ...{ id: 'a request', length: 3, checksum: 4_000_000_000, position: 12, time: TIME },
        ...{ result: bytes('its result'), refusal: '' },
      },
    ],
  },
};

/** The snapshot of a state machine, in a file of its own. */
const machineSnapshot: Sample = {
  name: 'machine-snapshot',
  version: 3,
  older: [2],
  async write(disk, clock) {
    const admission = new Admission({}, new Rules());
    admission.bind(new Uint8Array(8).fill(7));
    const admit = await admission.read([STATE.admission], restoreTurns(clock));
    admit();
    const pieces = [bytes('the '), bytes('state')];
    const state = { ...STATE, admission: admission.encode(), pieces, isInPieces: true };
    const file = await disk.open('state', 'create');
    let at = 0;
    for await (const chunk of encodeSnapshot(OWNER, state, clock, () => {})) {
      await file.write(at, [chunk]);
      at += chunk.length;
    }
    await file.close();
  },
  async read(disk, clock) {
    const file = await disk.open('state', 'existing');
    const stored = inChunks(await file.read(0, await file.size()));
    await file.close();
    let found: unknown;
    await readSnapshot(stored, OWNER, 'it', async ({ position, isInPieces, ...snapshot }) => {
      const restored = new Admission({}, new Rules());
      const admit = await restored.read(snapshot.admission(), restoreTurns(clock));
      admit();
      const requests = [restored.requests.find(bytes('a request'))!];
      const encoded = restored.encode();
      const state = await textOf(snapshot.pieces());
      found = {
        position,
        isInPieces,
        admission: asPlain({
          ...encoded,
          sessions: [...encoded.sessions],
          timers: [...encoded.timers],
          requests,
        }),
        state,
      };
    });
    return found;
  },
  content: (version) => ({
    ...{ position: STATE.position, isInPieces: version === 3, state: 'the state' },
    admission: asPlain(
      version === 3
        ? STATE.admission
        : { ...STATE.admission, timersMade: 0, timers: [], skippedTimers: [] },
    ),
  }),
};

function asPlain({ sessions, requests, timers, ...rest }: AdmissionState): unknown {
  return {
    ...rest,
    timers: timers.map(({ id, at, command }) => ({ id, at, command: text(command) })),
    sessions: sessions.map((it) => ({
      ...it,
      results: it.results.map(({ sequence, result, refusal }) => ({
        ...{ sequence, result: text(result), refusal },
      })),
    })),
    requests: requests.map(({ id, length, checksum, position, time, result, refusal }) => ({
      ...{ id, length, checksum, position, time, result: text(result), refusal },
    })),
  };
}

const MEMBERS = {
  identity: 'a group',
  voters: [1, 2],
  outgoing: [],
  learners: [3],
  retired: [4],
};
const ENTRIES = [
  { index: 1, term: 1, count: 2, payload: encodeBatch([bytes('one'), bytes('two')]).bytes },
  { index: 3, term: 2, count: 1, payload: new Uint8Array(0) },
];

const raft: Sample = {
  name: 'raft',
  version: 2,
  older: [1],
  async write(disk, clock) {
    const made = await openRaft(disk, clock);
    const persisted = new Promise<void>((resolve) => {
      made.onPersisted(() => resolve());
    });
    made.write({
      sequence: 1,
      hardState: { term: 2, vote: 1 },
      snapshot: undefined,
      truncateTo: undefined,
      batches: ENTRIES,
    });
    await persisted;
    const configuration = {
      ...MEMBERS,
      addresses: new Map([[1, '127.0.0.1:1']]),
      incarnations: new Map([[1, 'first']]),
    };
    await made.saveSnapshot({ index: 2, term: 1, configuration }, bytes('the state'));
    await made.close();
  },
  async read(disk, clock) {
    const opened = await openRaft(disk, clock);
    const entries = [];
    for (const it of await opened.read(1, 1024)) {
      entries.push({ ...it, payload: [...it.payload] });
    }
    const reader = await opened.snapshots.read();
    const { index, term, configuration } = reader!.snapshot;
    const stored = await joined(reader!.chunks());
    await reader!.close();
    const { addresses, incarnations, ...members } = configuration;
    await opened.close();
    return {
      hardState: opened.hardState,
      entries,
      snapshot: { index, term, members, state: text(stored) },
      addresses: [...addresses],
      incarnations: [...incarnations],
    };
  },
  content: () => ({
    hardState: { term: 2, vote: 1 },
    entries: ENTRIES.map((it) => ({ ...it, payload: [...it.payload] })),
    snapshot: { index: 2, term: 1, members: MEMBERS, state: 'the state' },
    addresses: [[1, '127.0.0.1:1']],
    incarnations: [[1, 'first']],
  }),
};

function openRaft(disk: Disk, clock: Clock): Promise<RaftStorage> {
  const onFailure = (error: unknown): void => {
    throw error;
  };
  return RaftStorage.open({ disk, clock, directory: '.', label: 'a member', onFailure });
}

const COMMITS = [
  { logStreamId: 1, epoch: 1, version: 1, llsn: 1, glsn: 1, count: 10 },
  { logStreamId: 1, epoch: 2, version: 2, llsn: 11, glsn: 4_294_967_297, count: 1 },
];

const commits: Sample = {
  name: 'commits',
  version: 2,
  older: [1],
  async write(disk, clock) {
    const made = await openCommits(disk, clock);
    for (const it of COMMITS) made.append(it);
    await made.flush();
    await made.close();
  },
  async read(disk, clock) {
    const opened = await openCommits(disk, clock);
    const found = await opened.range(1, 2);
    await opened.close();
    return found;
  },
  content: () => COMMITS,
};

function openCommits(disk: Disk, clock: Clock): Promise<CommitTable> {
  const onFailure = (error: unknown): void => {
    throw error;
  };
  const options = { disk, clock, directory: '.', label: 'commits', onFailure, onFull: () => {} };
  return CommitTable.open({ ...options, logStreamId: 1 });
}

const RECORDS = ['a record', '', 'the last one'];
/** What is said of a batch; one of version 0 has no header to say it in. */
const ATTRIBUTES: BatchAttributes = {
  producer: { id: 4_294_967_298, epoch: 3, sequence: 17 },
  headers: [['traceparent', bytes('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01')]],
  recordHeaders: new Map([
    [0, [['', bytes('a key')]]],
    [
      2,
      [
        ['content-type', bytes('text/plain')],
        ['ünicode', new Uint8Array(0)],
      ],
    ],
  ]),
};

/** A batch as it travels, in a file of its own. */
const batch: Sample = {
  name: 'batch',
  version: 1,
  older: [0],
  async write(disk) {
    const file = await disk.open('batch', 'create');
    await file.write(0, [encodeBatch(RECORDS.map(bytes), ATTRIBUTES).bytes]);
    await file.close();
  },
  async read(disk) {
    const file = await disk.open('batch', 'existing');
    const stored = { count: RECORDS.length, bytes: await file.read(0, await file.size()) };
    await file.close();
    return { records: decodeBatch(stored).map(text), attributes: asText(attributesOf(stored)) };
  },
  content: (version) => ({
    records: RECORDS,
    attributes: asText(version === 0 ? {} : ATTRIBUTES),
  }),
};

function asText({ producer, headers = [], recordHeaders = new Map() }: BatchAttributes): unknown {
  const list = (of: Headers): unknown => of.map(([name, value]) => [name, text(value)]);
  const single = [...recordHeaders].map(([index, it]) => [index, list(it)]);
  return { producer, headers: list(headers), recordHeaders: single };
}

const EXPORTED = { identity: 'topic 3 of cluster a cluster', topicId: 3, first: 5 };

/** Two batches of a topic, one of them with all that a header can say but the producer, in a file of their own. */
const exported: Sample = {
  name: 'export',
  version: 1,
  older: [],
  async write(disk) {
    const file = await disk.open('export', 'create');
    const begin = beginOfExport(EXPORTED);
    const { producer: _, ...attributes } = ATTRIBUTES;
    const first = { ...encodeBatch(RECORDS.map(bytes), attributes), glsn: 5, logStream: 1 };
    const one = exportBatch(begin.at, { ...first, timestamp: TIME });
    const second = { ...encodeBatch([bytes('alone')]), glsn: 8, logStream: 2, timestamp: 0 };
    const two = exportBatch(one.at, second);
    await file.write(0, [begin.bytes, ...one.bytes, ...two.bytes, endOfExport(two.at)]);
    await file.close();
  },
  async read(disk) {
    const file = await disk.open('export', 'existing');
    const found: unknown[] = [];
    async function* stored(): AsyncGenerator<Uint8Array> {
      yield await file.read(0, await file.size());
    }
    for await (const part of readExport(stored())) {
      if (part.kind === 'header') found.push(part.at.header);
      if (part.kind === 'end') found.push(part.summary.records, part.summary.hash);
      if (part.kind !== 'batch') continue;
      const { glsn, timestamp, logStream } = part.batch;
      found.push({ glsn, timestamp, logStream, records: decodeBatch(part.batch).map(text) });
    }
    await file.close();
    return found;
  },
  content: () => [
    EXPORTED,
    { glsn: 5, timestamp: TIME, logStream: 1, records: RECORDS },
    { glsn: 8, timestamp: 0, logStream: 2, records: ['alone'] },
    RECORDS.length + 1,
    '79038bd1bcb15d22f49ca02a3efd505fce5d5ec77b2508fc0d3bef299be78ae9',
  ],
};

export const samples: readonly Sample[] = [
  ...[log, journal, writeAhead, state, snapshot, raft, commits],
  ...[batch, exported, machineSnapshot],
];
