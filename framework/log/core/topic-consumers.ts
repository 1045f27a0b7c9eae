import { VarlogError } from '../../base/index.ts';
import { choices, type Refusal, refuse } from './metadata-result.ts';

/** They are part of every snapshot of the metadata. */
const CONSUMERS_MAX = 1_000;
/** So many records may be parked in a topic, by all of its consumers. */
const PARKED_MAX = 1_000;
const NAME_MAX = 200;
const CAUSE_MAX = 500;
/** The owner of a consumer that has not run yet: no life calls itself so. */
const NOBODY = '';

/** A record that a consumer could not do and has put aside. */
export interface ParkedRecord {
  readonly glsn: number;
  /** How often the handler failed at it. */
  readonly attempts: number;
  /** What it said the last time. */
  readonly cause: string;
  /** When it was put aside: milliseconds since 1970, by the clock of the consumer. */
  readonly at: number;
  /** Whether it is to be given to the consumer once more. */
  readonly replay: boolean;
}

/** What a topic knows of a consumer. */
export interface ConsumerState {
  readonly name: string;
  /** Grows with each life: all but the newest are fenced. */
  readonly epoch: number;
  /** The newest life's own name for itself. */
  readonly owner: string;
  /** Of the last message of this epoch that counted. */
  readonly sequence: number;
  /** The position with which it began. */
  readonly began: number;
  /** Everything up to here is done, but for what is parked. */
  readonly position: number;
  /** Ascending by GLSN. */
  readonly parked: readonly ParkedRecord[];
}

/** The part of a topic that its consumers change. */
export interface TopicConsumersState {
  readonly id: number;
  readonly highWatermark: number;
  readonly trimmed: number;
  consumerEpoch: number;
  consumers: readonly ConsumerState[];
}

/** Where a consumer begins that is new: a number is a position, behind which it begins. */
export type ConsumerBegin = 'start' | 'end' | number;

/** What a consumer says of itself. */
export interface ConsumerStep {
  readonly name: string;
  readonly epoch: number;
  readonly sequence: number;
  readonly position: number;
  readonly parked: readonly ParkedRecord[];
  readonly settled: readonly number[];
}

/** The consumer needs the records behind this position: what it has not done, and what is parked. */
export function neededBehind({ position, parked }: ConsumerState): number {
  return Math.min(position, (parked[0]?.glsn ?? Infinity) - 1);
}

/** Begins a life of a consumer. Answers its epoch: the same one for an `owner` that has it already. */
export function openConsumerOf(
  topic: TopicConsumersState,
  { name, owner, begin }: { name: string; owner: string; begin: ConsumerBegin },
): number | Refusal {
  const known = topic.consumers.find((it) => it.name === name);
  if (known?.owner === owner) return known.epoch;
  const life = { name, owner, sequence: 0 };
  if (known !== undefined) {
    topic.consumerEpoch++;
    replace(topic, { ...known, ...life, epoch: topic.consumerEpoch });
    return topic.consumerEpoch;
  }
  return register(topic, { name, owner, begin });
}

/** Registers a consumer that has no life yet: the first that is opened goes on with it. */
export function addConsumerOf(
  topic: TopicConsumersState,
  { name, begin }: { name: string; begin: ConsumerBegin },
): Refusal | undefined {
  if (topic.consumers.some((it) => it.name === name)) {
    const what = `topic ${topic.id} has a consumer "${name}" already`;
    const next = `it goes on where it is: see "varlog consumer ls ${topic.id}"; or choose another name`;
    return refuse('ALREADY_EXISTS', what, next);
  }
  const added = register(topic, { name, owner: NOBODY, begin });
  return typeof added === 'number' ? undefined : added;
}

/** Answers the epoch of the consumer, which is new. */
function register(
  topic: TopicConsumersState,
  { name, owner, begin }: { name: string; owner: string; begin: ConsumerBegin },
): number | Refusal {
  const position =
    begin === 'start' ? topic.trimmed : begin === 'end' ? topic.highWatermark : begin;
  const refusal = refusalOfConsumer(topic, name, position);
  if (refusal !== undefined) return refusal;
  const epoch = ++topic.consumerEpoch;
  replace(topic, { name, owner, epoch, sequence: 0, began: position, position, parked: [] });
  return epoch;
}

/** Takes what a consumer says of itself; `undefined`: it counts, or came late. */
export function advanceConsumerOf(
  topic: TopicConsumersState,
  { name, epoch, sequence, position, parked, settled }: ConsumerStep,
): Refusal | undefined {
  const known = topic.consumers.find((it) => it.name === name);
  if (known === undefined) return noConsumer(topic, name);
  if (known.epoch !== epoch) return refusalOfEpoch(name, epoch, known.epoch);
  if (sequence <= known.sequence) return undefined;
  const furthest = parked.reduce((most, { glsn }) => Math.max(most, glsn), position);
  if (furthest > topic.highWatermark) {
    const what = `topic ${topic.id} ends at ${topic.highWatermark}, before ${furthest}`;
    return refuse('BEYOND_TAIL', what, 'check that the checkpoint is of this topic');
  }
  const gone = new Set([...settled, ...parked.map(({ glsn }) => glsn)]);
  const kept = known.parked.filter(({ glsn }) => !gone.has(glsn));
  const own = [...kept, ...parked.map(checked)].sort((a, b) => a.glsn - b.glsn);
  const others = topic.consumers.reduce((sum, it) => sum + it.parked.length, -known.parked.length);
  if (parked.length > 0 && own.length + others > PARKED_MAX) {
    const what = `topic ${topic.id} has ${PARKED_MAX} parked records, as many as there can be`;
    const next = `mend what is wrong with them and have them replayed ("varlog consumer replay ${topic.id} '${name}'"), or drop them`;
    return refuse('FAILED_PRECONDITION', what, next);
  }
  replace(topic, { ...known, sequence, position, parked: own });
  return undefined;
}

/** Has records that a consumer parked replayed or dropped; none named: all of them. Answers how many. */
export function decideParkedOf(
  topic: TopicConsumersState,
  { name, glsns, drop }: { name: string; glsns: readonly number[]; drop: boolean },
): number | Refusal {
  const known = topic.consumers.find((it) => it.name === name);
  if (known === undefined) return noConsumer(topic, name);
  const missing = glsns.find((glsn) => known.parked.every((it) => it.glsn !== glsn));
  if (missing !== undefined) {
    const what = `record ${missing} is not parked by consumer "${name}" of topic ${topic.id}`;
    return refuse('NOT_FOUND', what, `see "varlog consumer parked ${topic.id} '${name}'"`);
  }
  const isMeant = ({ glsn }: ParkedRecord): boolean => glsns.length === 0 || glsns.includes(glsn);
  const parked = drop
    ? known.parked.filter((it) => !isMeant(it))
    : known.parked.map((it) => (isMeant(it) ? { ...it, replay: true } : it));
  replace(topic, { ...known, parked });
  return known.parked.filter(isMeant).length;
}

/** Forgets a consumer: it holds no records any more, and a life that still runs ends. */
export function removeConsumerOf(topic: TopicConsumersState, name: string): Refusal | undefined {
  const others = topic.consumers.filter((it) => it.name !== name);
  if (others.length === topic.consumers.length) return noConsumer(topic, name);
  topic.consumers = others;
  return undefined;
}

/** Why a life of a consumer takes part no more. */
function refusalOfEpoch(name: string, epoch: number, newest: number): Refusal {
  const what = `consumer "${name}" of epoch ${epoch} was followed by one of epoch ${newest}`;
  const next =
    'leave the records to that one; or give consumers that live at the same time names of their own';
  return refuse('CONSUMER_FENCED', what, next);
}

/** The same as an error. */
export function consumerFenced(name: string, epoch: number, newest: number): VarlogError {
  const { code, what, next } = refusalOfEpoch(name, epoch, newest);
  return new VarlogError(code, { what, next, details: { consumer: name, epoch, newest } });
}

function refusalOfConsumer(
  { id, consumers, highWatermark, trimmed }: TopicConsumersState,
  name: string,
  position: number,
): Refusal | undefined {
  if (name === '' || name.length > NAME_MAX) {
    const what = `"${name}" cannot be the name of a consumer`;
    return refuse('INVALID_ARGUMENT', what, `give 1 to ${NAME_MAX} characters`);
  }
  if (consumers.length >= CONSUMERS_MAX) {
    const what = `topic ${id} has ${CONSUMERS_MAX} consumers already, as many as there can be`;
    return refuse('FAILED_PRECONDITION', what, 'remove those that are gone');
  }
  if (position > highWatermark) {
    const what = `topic ${id} ends at ${highWatermark}, before ${position}`;
    return refuse('BEYOND_TAIL', what, 'begin behind a record that is there');
  }
  if (position < trimmed) {
    const what = `topic ${id} was trimmed up to ${trimmed}: the records behind ${position} are gone`;
    return refuse('TRIMMED', what, `begin with record ${trimmed + 1} at the earliest`);
  }
  return undefined;
}

/** In the order of their names. */
function replace(topic: TopicConsumersState, consumer: ConsumerState): void {
  const others = topic.consumers.filter((it) => it.name !== consumer.name);
  topic.consumers = [...others, consumer].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function checked(record: ParkedRecord): ParkedRecord {
  return { ...record, cause: record.cause.slice(0, CAUSE_MAX), replay: false };
}

function noConsumer({ id, consumers }: TopicConsumersState, name: string): Refusal {
  const what = `topic ${id} has no consumer "${name}"`;
  const names = consumers.map((it) => it.name);
  return refuse('NOT_FOUND', what, `it may have been removed; ${choices('consumer of it', names)}`);
}
