import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EntityManager } from 'typeorm';
import { VarlogError } from 'varlog/log';
import { MemoryLog, SeededRandom } from 'varlog/testing';
import { WalFollower } from './follower.ts';
import { bound, Gate, memoryTopic } from './wal.fixture.ts';
import type { WalRecord, WalTopic } from './wal-topic.ts';
import { WalWriter } from './writer.ts';

const STEPS = 40;
const KEYS = ['a', 'b', 'c'];
/** What a record writes to, in the database. */
const STATEMENTS = ['item', 'progress'] as const;
const FAULTS = ['refused', 'unknownApplied', 'unknownLate', 'unknownLost'] as const;

/** All that the log ever had, also what is trimmed by now, and what it makes of the store. */
class Mirror {
  readonly records: WalRecord[] = [];
  private readonly source: WalTopic['records'];

  constructor(source: WalTopic['records']) {
    this.source = source;
  }

  /** Resolves with the position of the last record. */
  async look(): Promise<number> {
    const from = this.records.length + 1;
    for await (const { glsn, value } of this.source.read({ from })) {
      assert.equal(glsn, this.records.length + 1);
      if (value.op === 'checkpoint')
        assert.deepEqual(new Map(value.pairs), this.at(glsn - 1), `the checkpoint at ${glsn}`);
      this.records.push(value);
    }
    return this.records.length;
  }

  /** The pairs that the records up to `position` make. */
  at(position: number): Map<string, string> {
    const pairs = new Map<string, string>();
    for (const it of this.records.slice(0, position)) {
      if (it.op === 'put') pairs.set(it.key, it.value);
      else if (it.op === 'delete') pairs.delete(it.key);
    }
    return pairs;
  }
}

/** What writes, and where. */
interface Opened {
  readonly writer: WalWriter;
  readonly directory: string;
  /** Whether it may not write any more: another took over, or it does not know what became of a write. */
  stopped: boolean;
}

/**
 * Writers that take over from each other, on folders old and empty, and followers that are slow, while appends fail and the
 * topic is trimmed behind checkpoints. Each answer is what the log makes of the store at the position that it names; whoever
 * was deposed, or does not know what became of a write, writes nothing; nothing is trimmed but behind a checkpoint.
 */
export async function walSimulation(seed: number): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'varlog-wal-'));
  const run = new WalRun(root, seed);
  try {
    await run.play();
  } finally {
    await run.close();
    rmSync(root, { recursive: true, force: true });
  }
}

class WalRun {
  private readonly root: string;
  private readonly random: SeededRandom;
  private readonly log = new MemoryLog();
  private readonly topic: WalTopic;
  private readonly mirror: Mirror;
  private readonly writers: Opened[] = [];
  private readonly gate = new Gate();
  private follower: { readonly it: WalFollower; readonly directory: string } | undefined;
  /** How far the follower was when it was last asked. */
  private followed = 0;
  private folders = 0;
  private isLogSound = false;

  constructor(root: string, seed: number) {
    this.root = root;
    this.random = new SeededRandom(seed);
    const topic = memoryTopic(this.log);
    this.mirror = new Mirror(topic.records);
    const { records } = topic;
    this.topic = {
      log: topic.log,
      records: {
        ...bound(records),
        append: (value, options) => this.faulty(() => records.append(value, options)),
        fence: (options) => this.faulty(() => records.fence(options)),
        tail: (options) => this.gate.slowed(records.tail(options), options?.signal),
      },
      trim: async (position) => {
        await this.mirror.look();
        const first = this.mirror.records[position];
        assert.equal(first?.op, 'checkpoint', `trimmed up to ${position}, behind ${first?.op}`);
        await topic.trim(position);
      },
    };
  }

  async play(): Promise<void> {
    await this.takeOver();
    await this.followAnew();
    for (let step = 0; step < STEPS; step++) {
      const { random } = this;
      if (random.chance(0.2)) this.gate.isOpen = false;
      else this.gate.open();
      const kind = random.below(20);
      if (kind < 11)
        await this.write(random.chance(0.6) ? this.newest : random.pick(this.writers), step);
      else if (kind < 13) await this.checkpoint();
      else if (kind < 15) await this.takeOver();
      else if (kind < 16) await this.followAnew();
      else if (kind < 17) await this.brokenDisk(step, random.pick(STATEMENTS));
      else await this.follow();
      await this.mirror.look();
    }
    this.gate.open();
    for (const refused of STATEMENTS) {
      await this.takeOver();
      await this.brokenDisk(STEPS, refused);
    }
    await this.takeOver();
    await this.follow();
  }

  async close(): Promise<void> {
    this.gate.open();
    for (const { writer } of this.writers) await writer[Symbol.asyncDispose]();
    await this.follower?.it[Symbol.asyncDispose]();
  }

  /** A fault is drawn for each append: those of steps that append nothing would pile up until nothing succeeds. */
  private faulty<T>(append: () => T): T {
    if (!this.isLogSound && this.random.chance(0.1)) this.log.failNext(this.random.pick(FAULTS));
    return append();
  }

  private get newest(): Opened {
    return this.writers.at(-1)!;
  }

  /** Either a process comes back on its disk, or another one takes over while the one before believes that it writes. */
  private async takeOver(): Promise<void> {
    const { random, writers } = this;
    const before = random.chance(0.5)
      ? writers.splice(random.below(writers.length), 1)[0]
      : undefined;
    await before?.writer[Symbol.asyncDispose]();
    const directory = before?.directory ?? this.folder();
    for (;;) {
      try {
        const writer = await WalWriter.open(this.topic, directory);
        for (const it of writers) it.stopped = true;
        writers.push({ writer, directory, stopped: false });
        break;
      } catch (error) {
        // A fence is an append too.
        if (!VarlogError.is(error) || error.code === 'TRIMMED') throw error;
      }
    }
    await this.compare();
  }

  /** A writer that was just opened, or has just written, has all that the log has. */
  private async compare(): Promise<void> {
    const end = await this.mirror.look();
    const pairs = this.mirror.at(end);
    for (const key of KEYS) {
      assert.equal(await this.newest.writer.get(key), pairs.get(key), `${key} at ${end}`);
    }
  }

  private async write(by: Opened, step: number): Promise<void> {
    const key = this.random.pick(KEYS);
    const value = this.random.chance(0.3) ? undefined : `${step}`;
    await this.attempt(by, { op: value === undefined ? 'delete' : 'put', key, value: value ?? '' });
  }

  private async attempt(
    by: Opened,
    { op, key, value }: { op: string; key: string; value: string },
  ) {
    const { writer } = by;
    const end = await this.mirror.look();
    try {
      const position = await (op === 'put' ? writer.put(key, value) : writer.delete(key));
      assert.ok(!by.stopped, `a writer that had stopped wrote at ${position}`);
      await this.mirror.look();
      const record = this.mirror.records[position - 1];
      assert.deepEqual(record, op === 'put' ? { op, key, value } : { op, key });
      await this.compare();
    } catch (error) {
      if (!VarlogError.is(error)) throw error;
      if (error.outcome === 'notAppended') {
        const now = await this.mirror.look();
        // What came late is a write of before.
        assert.ok(!by.stopped || now >= end);
      } else by.stopped = true;
    }
  }

  private async checkpoint(): Promise<void> {
    const by = this.newest;
    try {
      // Writes that are under way belong to it.
      const write = this.attempt(by, { op: 'put', key: 'a', value: 'before the checkpoint' });
      const [position] = await Promise.all([by.writer.checkpoint(), write]);
      await this.mirror.look();
      assert.equal(this.mirror.records[position - 1]?.op, 'checkpoint');
    } catch (error) {
      if (!VarlogError.is(error)) throw error;
      if (error.outcome !== 'notAppended') by.stopped = true;
    }
  }

  /** The database refuses one of a record's statements: none of the record's effects may stay, and it is not remembered as applied. */
  private async brokenDisk(step: number, refused: string): Promise<void> {
    const by = this.newest;
    if (by.stopped) return;
    const state = by.writer['state'];
    const source = state['source'];
    const { save } = EntityManager.prototype;
    type Save = (entity: { options?: { name?: string } }, ...rest: unknown[]) => Promise<unknown>;
    const failing = function (this: EntityManager, ...[entity, ...rest]: Parameters<Save>) {
      if (this.dataSource === source && entity.options?.name === refused)
        return Promise.reject(new Error('the disk is broken'));
      return Reflect.apply(save as Save, this, [entity, ...rest]);
    };
    EntityManager.prototype.save = failing as typeof save;
    const position = state.position;
    this.isLogSound = true;
    try {
      await by.writer.put('b', `broken ${step}`);
      assert.fail(`a record was applied without its ${refused}`);
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      if (VarlogError.is(error) && error.outcome === 'notAppended') return;
      by.stopped = true;
    } finally {
      EntityManager.prototype.save = save;
      this.isLogSound = false;
    }
    assert.equal(state.position, position);
    const stored = await source.manager.findOneBy<{ id: number; position: number }>('progress', {
      id: 1,
    });
    assert.equal(stored?.position ?? 0, position, 'a position has stayed without its record');
    const pairs = this.mirror.at(position);
    assert.deepEqual(new Map(await state.pairs()), pairs, 'what a record half did has stayed');
  }

  private async followAnew(): Promise<void> {
    const { follower } = this;
    await follower?.it[Symbol.asyncDispose]();
    this.followed = 0;
    const isOld = this.random.chance(0.5);
    const directory = isOld && follower !== undefined ? follower.directory : this.folder();
    this.follower = { it: await WalFollower.open(this.topic, directory), directory };
  }

  /** Its answer is what the log makes of the store so many records before the end. */
  private async follow(): Promise<void> {
    const { it } = this.follower!;
    for (const key of KEYS) {
      const end = await this.mirror.look();
      const { value, behind } = await it.get(key);
      const at = end - behind;
      assert.ok(at >= this.followed, `a follower at ${at} was at ${this.followed} before`);
      this.followed = at;
      assert.equal(value, this.mirror.at(at).get(key), `${key} of a follower at ${at} of ${end}`);
    }
  }

  private folder(): string {
    return join(this.root, String(++this.folders));
  }
}
