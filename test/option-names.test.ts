import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { DataSource, type EntityManager } from 'typeorm';
import { handle, Varlog, VarlogError } from 'varlog/log';
import { startLocalCluster } from 'varlog/node';
import {
  destroyStoppedMember,
  inspectMember,
  openRaftGroup,
  openRaftHost,
  restoreLostMajority,
} from 'varlog/raft';
import {
  electLeader,
  isMachineInLog,
  Outbox,
  replay,
  runEffects,
  skipCommand,
  startFork,
  startReplica,
  startShadow,
  startShards,
  TransactionMachine,
  transactions,
  upgradeRules,
  versionedJson,
  why,
} from 'varlog/smr';
import { s3Objects } from 'varlog/smr/s3';
import { sqlReplicaMigrations, startSqlReplica } from 'varlog/smr/sql';
import {
  Capture,
  checkReplay,
  checkSnapshots,
  freeAddresses,
  given,
  ManualClock,
  MemoryLog,
  runSeeds,
  simulate,
  World,
} from 'varlog/testing';
import { VarlogCluster } from 'varlog/testing/containers';
import { simulateSql } from 'varlog/testing/sql';
import { startRealCluster } from '../framework/log/client/real-cluster.fixture.ts';
import { RealDisk, realPorts } from '../framework/runtime/index.ts';
import { ROOT } from './tidy/source.ts';

/*
 * A misspelt option is one that was left out: without a limit, a check or a snapshot, and nobody sees that. So each public
 * call that takes options is given one here that it does not have.
 */

class Counter {
  value = 0;
  apply(by: number): number {
    this.value += by;
    return this.value;
  }
  snapshot(): number {
    return this.value;
  }
  restore(value: number): void {
    this.value = value;
  }
  inspect(): number {
    return this.value;
  }
}

const COUNTS = {
  apply: async (_: number, manager: EntityManager): Promise<number> => {
    await manager.query('SELECT 1');
    return 1;
  },
};

/** What takes options, and is not called by who uses this package: other calls make it. */
const NOT_CALLED = new Set([
  ...['ClusterMembers', 'Consumer', 'EntryBatch', 'EntryObservable', 'Topic', 'TopicExport'].map(
    made,
  ),
  ...['TopicProducer', 'SqlReplica', 'EffectRunner', 'Election', 'Replica', 'Transaction'].map(
    made,
  ),
  ...['ManualClock', 'MemoryLink', 'SimulatedDisk'].map(made),
  'Shadow.start',
  'RaftGroup.open',
  'RaftHost.open',
  // Of services that have another place for the replica: they pass on what they are given.
  'ReplicaTransactions.begin',
  'ReplicaTransactions.commit',
  'ReplicaTransactions.settle',
  // A suite of tests.
  'replicaContract',
]);

function made(name: string): string {
  return `new ${name}`;
}

/** Names of all public calls that take options, from the reports of the public face. */
function callsWithOptions(): string[] {
  const takes = /\b(?:(?:options|limits)\??: |input\??: (?:\{|\w+(?:Options|Name|Limits)\b))/;
  const found = new Set<string>();
  for (const file of readdirSync(join(ROOT, 'infra/api'))) {
    let of: string | undefined;
    for (const line of readFileSync(join(ROOT, 'infra/api', file), 'utf8').split('\n')) {
      const type = /^export (?:abstract )?class (\w+)|^class (Varlog)_2/.exec(line);
      if (type !== null) of = type[1] ?? type[2];
      else if (line.startsWith('}')) of = undefined;
      const name = /^export function (\w+)/.exec(line)?.[1];
      const member = /^ {4}(?:static )?([\w$]+)[<(]/.exec(line)?.[1];
      if (!takes.test(line)) continue;
      if (name !== undefined) found.add(name);
      if (of !== undefined && member !== undefined)
        found.add(member === 'constructor' ? made(of) : `${of}.${member}`);
    }
  }
  return [...found].filter((it) => !NOT_CALLED.has(it)).sort();
}

/** A call that takes the option may never end. */
const GIVEN_UP_MS = 5_000;

type Calls = Readonly<Record<string, (wrong: never) => unknown>>;

/** Ends what was opened, the last first. */
const closing: (() => unknown)[] = [];
const directory = mkdtempSync(join(tmpdir(), 'varlog-options-'));

async function callsOfTheLog(): Promise<Calls> {
  const cluster = await startRealCluster(1);
  closing.push(() => cluster.close());
  const { endpoint } = cluster;
  const varlog = await Varlog.connect(endpoint);
  closing.push(() => varlog.close());
  const topic = await varlog.createTopic();
  await topic.append('a');
  const { members } = varlog;
  const { consumers } = topic;
  const producer = await topic.producer({ id: 1 });
  const consumer = topic.process({ name: 'c' }, () => {});
  closing.push(() => consumer.close());
  const parts = [{ logStream: 1, records: 'a' }] as never;
  const member = { id: 2, address: '127.0.0.1:1' };
  const nothing = async function* (): AsyncGenerator<Uint8Array> {};
  return {
    'Varlog.connect': (it) => Varlog.connect(it),
    'Varlog.createTopic': (it) => varlog.createTopic(it),
    'Varlog.deleteTopic': (it) => varlog.deleteTopic(topic.id, it),
    'Varlog.drainStorageNode': (it) => varlog.drainStorageNode(1 as never, it),
    'Varlog.importTopic': (it) => varlog.importTopic(nothing, it),
    'Varlog.preferPrimary': (it) => varlog.preferPrimary(1 as never, 1 as never, it),
    'Varlog.ready': (it) => varlog.ready(it),
    'Varlog.removeStorageNode': (it) => varlog.removeStorageNode(1 as never, it),
    'Varlog.replaceStorageNode': (it) => varlog.replaceStorageNode(1 as never, it),
    'Varlog.restoreTopic': (it) => varlog.restoreTopic(topic.id, it),
    'Varlog.status': (it) => varlog.status(it),
    'Varlog.topic': (it) => varlog.topic(topic.id, it),
    'Varlog.topics': (it) => varlog.topics(it),
    'Varlog.undrainStorageNode': (it) => varlog.undrainStorageNode(1 as never, it),
    'ClusterMembers.add': (it) => members.add(member, it),
    'ClusterMembers.list': (it) => members.list(it),
    'ClusterMembers.move': (it) => members.move(member, it),
    'ClusterMembers.remove': (it) => members.remove(2, it),
    'ClusterMembers.replace': (it) => members.replace(2, member, it),
    'Topic.addLogStream': (it) => topic.addLogStream(it),
    'Topic.append': (it) => topic.append('a', it),
    'Topic.appendAtomically': (it) => topic.appendAtomically(parts, it),
    'Topic.describe': (it) => topic.describe(it),
    'Topic.export': (it) => topic.export(it),
    'Topic.fence': (it) => topic.fence(it),
    'Topic.hold': (it) => topic.hold('h', 0, it),
    'Topic.process': (it) => topic.process(it, () => {}),
    'Topic.producer': (it) => topic.producer(it),
    'Topic.read': (it) => topic.read(it),
    'Topic.read$': (it) => topic.read$(it),
    'Topic.release': (it) => topic.release('h', it),
    'Topic.setReplicationFactor': (it) => topic.setReplicationFactor(1, it),
    'Topic.setRetention': (it) => topic.setRetention({}, it),
    'Topic.tail': (it) => topic.tail(it),
    'Topic.tail$': (it) => topic.tail$(it),
    'Topic.trim': (it) => topic.trim(0, it),
    'Topic.usage': (it) => topic.usage(it),
    'Topic.watermarks': (it) => topic.watermarks(it),
    'TopicConsumers.add': (it) => consumers.add('c', it),
    'TopicConsumers.drop': (it) => consumers.drop('c', 'all', it),
    'TopicConsumers.list': (it) => consumers.list(it),
    'TopicConsumers.remove': (it) => consumers.remove('c', it),
    'TopicConsumers.replay': (it) => consumers.replay('c', 'all', it),
    'TopicProducer.append': (it) => producer.append('a', it),
    'Consumer.caughtUp': (it) => consumer.caughtUp(it),
    'Consumer.close': (it) => consumer.close(it),
    'EntryObservable.caughtUp': (it) => topic.read$({ from: 1 }).caughtUp(it),
    'Subscription.caughtUp': (it) => topic.read({ from: 1 }).caughtUp(it),
    handle: (it) => handle(() => {}, it),
  };
}

async function callsOfMachines(): Promise<Calls> {
  const log = new MemoryLog();
  const [machine, name] = [new Counter(), 'counter'];
  const replica = await startReplica({ machine, log, name });
  const shards = await startShards({
    machine: () => new Counter(),
    logs: [new MemoryLog()],
    keyOf: () => '',
  });
  const dataSource = new DataSource({
    type: 'better-sqlite3',
    database: ':memory:',
    migrations: [...sqlReplicaMigrations],
  });
  await dataSource.initialize();
  await dataSource.runMigrations();
  const sql = await startSqlReplica({ machine: COUNTS, log: new MemoryLog(), dataSource, name });
  const stored = await startReplica({ machine: new TransactionMachine(), log: new MemoryLog() });
  const store = transactions(stored);
  closing.push(() => dataSource.destroy());
  closing.push(() => Promise.all([replica, shards, sql, stored].map((it) => it.close())));
  const first = { 1: (it: unknown) => it };
  return {
    'Replica.caughtUp': (it) => replica.caughtUp(it),
    'Replica.changes': (it) => replica.changes(it),
    'Replica.changes$': (it) => replica.changes$(it),
    'Replica.close': (it) => replica.close(it),
    'Replica.execute': (it) => replica.execute(1, it),
    'Replica.query': (it) => replica.query(() => 1, it),
    'Replica.snapshot': (it) => replica.snapshot(it),
    'Replica.speculate': (it) => replica.speculate(1, it),
    'Replica.upgradeTo': (it) => replica.upgradeTo(1, it),
    'Shards.caughtUp': (it) => shards.caughtUp(it),
    'Shards.changes': (it) => shards.changes(it),
    'Shards.changes$': (it) => shards.changes$(it),
    'Shards.close': (it) => shards.close(it),
    'Shards.execute': (it) => shards.execute(1, it),
    'Shards.query': (it) => shards.query('', () => 1, it),
    'Shards.queryEach': (it) => shards.queryEach(() => 1, it),
    'Shards.snapshot': (it) => shards.snapshot(it),
    'Shards.speculate': (it) => shards.speculate(1, it),
    'Shards.upgradeTo': (it) => shards.upgradeTo(1, it),
    'SqlReplica.caughtUp': (it) => sql.caughtUp(it),
    'SqlReplica.changes': (it) => sql.changes(it),
    'SqlReplica.changes$': (it) => sql.changes$(it),
    'SqlReplica.execute': (it) => sql.execute(1, it),
    'SqlReplica.query': (it) => sql.query(async () => 1, it),
    'SqlReplica.upgradeTo': (it) => sql.upgradeTo(1, it),
    'TransactionStore.begin': (it) => store.begin(it),
    'TransactionStore.outcome': (it) => store.outcome('a', it),
    'TransactionStore.transact': (it) => store.transact(async () => 1, it),
    electLeader: (it) => electLeader(it),
    isMachineInLog: (it) => isMachineInLog(log, it),
    replay: (it) => replay({ machine: Counter, log, ...(it as object) } as never),
    runEffects: (it) => runEffects(it, () => Promise.resolve()),
    s3Objects: (it) => s3Objects(it),
    skipCommand: (it) => skipCommand(log, 1, it),
    startFork: (it) => startFork(it),
    startReplica: (it) => startReplica(it),
    startShadow: (it) => startShadow(it),
    startShards: (it) => startShards(it),
    startSqlReplica: (it) => startSqlReplica(it),
    transactions: (it) => transactions(stored, it),
    upgradeRules: (it) => upgradeRules(log, 1, it),
    versionedJson: (it) => versionedJson({ upcast: first, ...(it as object) } as never),
    why: (it) => why(it).next(),
    'new Outbox': (it) => new Outbox(it),
    'new TransactionMachine': (it) => new TransactionMachine(it),
  };
}

async function callsOfRaft(): Promise<Calls> {
  const [address = '', other = ''] = await freeAddresses(2);
  const members = [{ id: 1, address }];
  const common = { groupId: 'g', memberId: 1, members };
  const node = await openRaftGroup({ ...common, directory: join(directory, 'group') });
  const host = await openRaftHost({ address: other, directory: join(directory, 'host') });
  closing.push(() => Promise.all([node.close(), host.close()]));
  const { group } = node;
  const member = { id: 2, address: other };
  const disk = new RealDisk(directory);
  const ports = realPorts({ directory });
  return {
    openRaftGroup: (it) => openRaftGroup({ ...common, directory, ...(it as object) }),
    openRaftHost: (it) => openRaftHost({ address: other, directory, ...(it as object) }),
    'RaftGroup.addLearner': (it) => group.addLearner(member, it),
    'RaftGroup.addMember': (it) => group.addMember(member, it),
    'RaftGroup.append': (it) => group.append([new Uint8Array(1)], it),
    'RaftGroup.follow': (it) => group.follow(1, it),
    'RaftGroup.identity': (it) => group.identity(it),
    'RaftGroup.removeMember': (it) => group.removeMember(2, it),
    'RaftGroup.tail': (it) => group.tail(it),
    'RaftHost.destroyGroup': (it) =>
      host.destroyGroup({ groupId: 'g', identity: 'i', ...(it as object) }),
    'RaftHost.openGroup': (it) => host.openGroup({ ...common, ...(it as object) }),
    destroyStoppedMember: (it) =>
      destroyStoppedMember({ ports, directory: 'none', groupId: 'g', ...(it as object) }),
    inspectMember: (it) => inspectMember({ disk, directory: 'none', ...(it as object) }),
    restoreLostMajority: (it) =>
      restoreLostMajority({ ports, directory: 'none', groupId: 'g', member, ...(it as object) }),
    startLocalCluster: (it) => startLocalCluster(it),
  };
}

async function callsOfTests(): Promise<Calls> {
  const log = new MemoryLog();
  const records = log.records();
  const producer = await log.producer({ id: 1 });
  const capture = new Capture({ identity: 'i', first: 1 } as never, []);
  const world = new World(1);
  closing.push(() => world.close());
  const scenario = async (): Promise<never> => Promise.reject(new Error('it ran'));
  const state = new Uint8Array();
  world.ports('a');
  const parts = [{ logStream: 1, records: 'a' }] as never;
  return {
    'Capture.commands': (it) => capture.commands(it),
    'MemoryConsumers.add': (it) => log.consumers.add('c', it),
    'MemoryLink.records': (it) => log.link({ clock: new ManualClock() }).records(it),
    'MemoryLog.append': (it) => log.append([new Uint8Array(1)], it),
    'MemoryLog.compact': (it) => log.compact(0, state, it),
    'MemoryLog.follow': (it) => log.follow(1, it).next(),
    'MemoryLog.from': (it) => MemoryLog.from(capture, it),
    'MemoryLog.identity': (it) => log.identity(it),
    'MemoryLog.link': (it) => log.link(it),
    'MemoryLog.producer': (it) => log.producer(it),
    'MemoryLog.records': (it) => log.records(it),
    'MemoryLog.tail': (it) => log.tail(it),
    'MemoryProducer.append': (it) => producer.append('a', it),
    'RecordLog.append': (it) => records.append('a', it),
    'RecordLog.appendAtomically': (it) => records.appendAtomically(parts, it),
    'RecordLog.fence': (it) => records.fence(it),
    'RecordLog.process': (it) => records.process(it, () => {}),
    'RecordLog.producer': (it) => records.producer(it),
    'RecordLog.read': (it) => records.read(it),
    'RecordLog.tail': (it) => records.tail(it),
    'RecordLog.tail$': (it) => records.tail$(it),
    'VarlogCluster.start': (it) => VarlogCluster.start(it),
    'World.crash': (it) => world.crash('a', it),
    'World.partition': (it) => world.partition([['a']], it),
    'new MemoryLog': (it) => new MemoryLog(it),
    'new World': (it) => new World(1, it),
    checkReplay: (it) => checkReplay(Counter, [], it),
    checkSnapshots: (it) => checkSnapshots(Counter, [], it),
    given: (it) => given(new Counter(), [], it),
    runSeeds: (it) => runSeeds({ scenario, seeds: 1, print: () => {}, ...(it as object) }),
    simulate: (it) => simulate(Counter, it),
    simulateSql: (it) => simulateSql(() => COUNTS, it),
  };
}

const calls: Record<string, (wrong: never) => unknown> = {};

beforeAll(async () => {
  Object.assign(calls, await callsOfTheLog(), await callsOfMachines());
  Object.assign(calls, await callsOfRaft(), await callsOfTests());
}, 60_000);

afterAll(async () => {
  for (const close of closing.reverse()) await close();
  rmSync(directory, { recursive: true, force: true });
});

test('every public call that takes options is here', () => {
  const missing = callsWithOptions().filter((it) => !Object.hasOwn(calls, it));
  expect(missing).toEqual([]);
});

test('each of them refuses an option that it does not have, and names it', async () => {
  const taken: string[] = [];
  // What is closed takes no other calls, so that comes last.
  const closes = (name: string): number => Number(name.endsWith('.close'));
  const sorted = Object.entries(calls).sort(([a], [b]) => closes(a) - closes(b));
  for (const [name, call] of sorted) {
    let said: unknown = 'it was taken';
    try {
      await Promise.race([
        call({ mispelt: 1 } as never),
        setTimeout(GIVEN_UP_MS, undefined, { ref: false }),
      ]);
    } catch (error) {
      said = error;
    }
    const isRefused = VarlogError.is(said, 'INVALID_ARGUMENT') && said.message.includes('mispelt');
    if (!isRefused) taken.push(`${name}: ${said instanceof Error ? said.message : said}`);
  }
  expect(taken).toEqual([]);
}, 120_000);
