import { VarlogError } from '../../framework/base/index.ts';
import type { AppendAck, Entry } from '../../framework/log/client/index.ts';
import { must } from './memory.ts';

/** One append, and what its client was told. Its text says what it expected. */
export interface Told {
  readonly topicId: number;
  readonly text: string;
  outcome: 'acknowledged' | 'notAppended' | 'unknown';
  glsn?: number;
  llsn?: number;
  /** Of one whose expectation did not hold: which one, and what was there instead. */
  condition?: string;
  actual?: number;
  atMost?: boolean;
}

interface Found {
  readonly glsn: number;
  readonly llsn: number;
  readonly logStream: number;
  readonly text: string;
  readonly key: string | undefined;
}

/** Since when a topic, or one log stream, was fenced. */
interface Fenced {
  readonly token: number;
  /** GLSN of the last record of the topic after that. */
  readonly last: number;
  readonly logStream?: number;
}

/** What clients with expectations were told, and what the topics hold. */
export class ConditionHistory {
  readonly fences: Fenced[] = [];
  private readonly told: Told[] = [];
  private readonly records = new Map<number, Found[]>();

  begin(topicId: number, text: string): Told {
    const told: Told = { topicId, text, outcome: 'unknown' };
    this.told.push(told);
    return told;
  }

  acknowledged(told: Told, { glsn, llsn }: AppendAck): Told {
    return Object.assign(told, { outcome: 'acknowledged', glsn, llsn });
  }

  failed(told: Told, error: unknown): Told {
    if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
    told.outcome = error.outcome ?? 'unknown';
    if (error.code !== 'CONDITION_FAILED' || told.outcome === 'unknown') return told;
    const { condition, actual, atMost = false } = error.details;
    return Object.assign(told, { condition, actual, atMost });
  }

  fenced(fenced: Fenced): void {
    this.fences.push(fenced);
  }

  found(topicId: number, entry: Entry): void {
    const { glsn, llsn, logStream, key } = entry;
    const records = this.records.get(topicId) ?? [];
    this.records.set(topicId, records);
    must(glsn === records.length + 1, `GLSN ${glsn} comes after ${records.length}`);
    records.push({ glsn, llsn, logStream, text: entry.text(), key });
  }

  lengthOf(topicId: number): number {
    return this.records.get(topicId)?.length ?? 0;
  }

  /** Throws where something was appended of which the expectation did not hold, or is not where it was said to be. */
  check(): void {
    this.checkPlaces();
    for (const records of this.records.values()) {
      checkTails(records);
      checkKeys(records);
      this.checkFences(records);
    }
    const count = (kind: string, done: (it: Told) => boolean): number =>
      this.told.filter((it) => it.text.startsWith(kind) && done(it)).length;
    // Much happens to some of them in some runs; all of them together get on.
    const taken = count('', (it) => it.outcome === 'acknowledged');
    must(taken > 20, `only ${taken} appends were taken`);
    const refused = count('', (it) => it.actual !== undefined);
    must(refused > 10, `only ${refused} expectations did not hold`);
  }

  private checkPlaces(): void {
    for (const { topicId, text, outcome, glsn, llsn } of this.told) {
      const all = this.records.get(topicId)!.filter((it) => it.text === text);
      must(all.length <= 1, `"${text}" is there twice`);
      const [found] = all;
      if (outcome === 'notAppended')
        must(found === undefined, `"${text}" was refused, and is there`);
      if (outcome !== 'acknowledged') continue;
      must(found?.glsn === glsn && found?.llsn === llsn, `"${text}" is not at ${glsn}`);
    }
  }

  /** What carries an older token is not there once a newer one is, nor behind the place where that was set. */
  private checkFences(records: readonly Found[]): void {
    const newest = new Map<number, number>();
    for (const { glsn, logStream, text } of records) {
      const token = Number(/^fence (\d+)/.exec(text)?.[1] ?? 0);
      if (token === 0) continue;
      const before = newest.get(logStream) ?? 0;
      must(token >= before, `"${text}" at ${glsn} comes after one with token ${before}`);
      newest.set(logStream, token);
      const later = this.fences.find(
        (it) =>
          it.token > token &&
          glsn > it.last &&
          (it.logStream === undefined || it.logStream === logStream),
      );
      must(
        later === undefined,
        `"${text}" is at ${glsn}, after token ${later?.token} was set at ${later?.last}`,
      );
    }
  }
}

/** Each stands right behind the record that it expected to be the last, and on the link before it, if it says so. */
function checkTails(records: readonly Found[]): void {
  for (const [i, { llsn, text }] of records.entries()) {
    const tail = /\btail (\d+)/.exec(text)?.[1];
    if (tail === undefined) continue;
    must(llsn === Number(tail) + 1, `"${text}" is at LLSN ${llsn}`);
    const on = /^chain (#\d+)/.exec(text)?.[1];
    // This topic has one log stream.
    const before = records[i - 1]?.text ?? '';
    must(on === undefined || before.endsWith(on), `"${text}" comes after "${before}"`);
  }
}

/** Between the place that it expected and its own there is no record with its key. */
function checkKeys(records: readonly Found[]): void {
  const last = new Map<string, number>();
  for (const { llsn, logStream, key, text } of records) {
    if (key === undefined) continue;
    const id = `${logStream} ${key}`;
    const before = last.get(id) ?? 0;
    last.set(id, llsn);
    const version = /^key \w+ (\d+)/.exec(text)?.[1];
    if (version === undefined) continue;
    must(before <= Number(version), `"${text}" is at LLSN ${llsn}, and its key was at ${before}`);
  }
}
