import { type ErrorParts, VarlogError } from './errors.ts';
import { reasonOf } from './reason.ts';

/** Something in a value that does not come back from JSON as what it was. */
export interface JsonLoss {
  /** Where: `$` is the value itself, `$.a[2]` the third item of its field `a`. */
  readonly path: string;
  /** What is there: `a Map`. */
  readonly is: string;
  /** What JSON makes of it. */
  readonly becomes: string;
  /** What to do instead. */
  readonly instead: string;
}

/** What of a value does not come back from JSON, the first of each kind. */
export interface JsonLosses {
  /** Of this nothing is left, or nothing that it could be made from again. */
  lost?: JsonLoss;
  /** This is another thing then, which is fine where whoever decodes it reckons with that. */
  altered?: JsonLoss;
}

/**
 * What JSON does to a value. Fields that are `undefined` do not count, nor does what has a `toJSON` of its own: who wrote
 * that knows.
 */
export function jsonLosses(value: unknown): JsonLosses {
  const search = new Search();
  if (value !== undefined) search.walk(value);
  return search.found;
}

/** In words, for an error about `what`, such as "the command". */
export function lossParts(
  what: string,
  { path, is, becomes, instead }: JsonLoss,
): Pick<ErrorParts, 'what' | 'because' | 'next'> {
  return {
    what: `${what} has ${is} at ${path}`,
    because: `JSON, the codec where none is given, makes ${becomes} of it`,
    next: `${instead}; or give a codec that keeps it, as the option \`codec\``,
  };
}

/** For a value at which `JSON.stringify` threw. */
export function cannotEncode(value: unknown, cause: unknown): VarlogError {
  const lost = lostWithoutFail(value);
  const parts = lost
    ? lossParts('a value that is to be encoded', lost)
    : {
        what: 'a value cannot be encoded as JSON',
        because: reasonOf(cause),
        next: 'give plain data, or a codec that takes it',
      };
  return new VarlogError('INVALID_ARGUMENT', { ...parts, outcome: 'notAppended', cause });
}

/**
 * Throws `INVALID_ARGUMENT` where `what`, which is about to be encoded as JSON, has something of which JSON leaves nothing: it
 * would be gone without a word.
 */
export function checkKeptByJson(value: unknown, what: string): void {
  if (isPlainData(value, PLAIN_DEPTH_MAX)) return;
  const lost = lostWithoutFail(value);
  if (lost === undefined) return;
  throw new VarlogError('INVALID_ARGUMENT', { ...lossParts(what, lost), outcome: 'notAppended' });
}

/** Deeper values are searched, which is slower and ends at circles. */
const PLAIN_DEPTH_MAX = 20;

/** Whether there is nothing in it that JSON might not keep, which is so for nearly all that is encoded: this takes a fifth of the search. */
function isPlainData(value: unknown, depth: number): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || value === null) {
    return typeof value === 'string' || typeof value === 'boolean' || value === null;
  }
  if (depth === 0) return false;
  if (Array.isArray(value)) return value.every((it) => isPlainData(it, depth - 1));
  if (Object.getPrototypeOf(value) !== Object.prototype) return false;
  for (const name in value) {
    const field = (value as Readonly<Record<string, unknown>>)[name];
    if (field !== undefined && !isPlainData(field, depth - 1)) return false;
  }
  return true;
}

/** Path of a field of the object at `path`. */
export function fieldPath(path: string, name: string): string {
  return `${path}${/^[A-Za-z_$][\w$]*$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`}`;
}

/** What made JSON throw, a `toJSON` or a depth without an end, may make the search throw too. */
function lostWithoutFail(value: unknown): JsonLoss | undefined {
  try {
    return jsonLosses(value).lost;
  } catch {
    return undefined;
  }
}

type Lost = Omit<JsonLoss, 'path'>;

/** States are walked through at each command of a simulation: nothing is made that is not needed. */
class Search {
  readonly found: JsonLosses = {};
  /** The objects around the one that is looked at, and where in each of them it is. */
  private readonly around: object[] = [];
  private readonly place: (string | number)[] = [];

  walk(value: unknown): void {
    const { found, around } = this;
    if (typeof value === 'string' || typeof value === 'boolean' || value === null) return;
    if (found.lost !== undefined) return;
    const isCircle = typeof value === 'object' && around.includes(value);
    const lost = isCircle ? CYCLE : lostOf(value);
    if (lost !== undefined) found.lost = { ...lost, path: this.path };
    else if (typeof value === 'object') this.walkObject(value);
  }

  private walkObject(value: object): void {
    const altered = alteredOf(value);
    if (altered !== undefined) this.found.altered ??= { ...altered, path: this.path };
    this.around.push(value);
    // JSON asks what that returns for its fields, and not for another `toJSON`.
    const said: unknown = hasToJson(value) ? value.toJSON() : value;
    if (Array.isArray(said)) this.walkItems(said);
    else if (typeof said === 'object' && said !== null) this.walkFields(said);
    else this.walk(said);
    this.around.pop();
  }

  private walkItems(items: readonly unknown[]): void {
    const { place } = this;
    const depth = place.length;
    for (let i = 0; i < items.length; i++) {
      place[depth] = i;
      const item = items[i];
      if (item === undefined) this.found.altered ??= { ...UNDEFINED, path: this.path };
      else this.walk(item);
    }
    place.length = depth;
  }

  private walkFields(fields: object): void {
    const { place } = this;
    const depth = place.length;
    for (const name of Object.keys(fields)) {
      const field = (fields as Readonly<Record<string, unknown>>)[name];
      // JSON leaves these out, as do methods that are fields.
      if (field === undefined || typeof field === 'function') continue;
      place[depth] = name;
      this.walk(field);
    }
    place.length = depth;
  }

  private get path(): string {
    let path = '$';
    for (const at of this.place)
      path = typeof at === 'number' ? `${path}[${at}]` : fieldPath(path, at);
    return path;
  }
}

const CYCLE: Lost = {
  is: 'the object that it is itself part of',
  becomes: 'nothing',
  instead: 'refer to it by an id',
};

const UNDEFINED: Lost = { is: 'undefined', becomes: 'null', instead: 'put null there' };

const NOT_AS_IT_IS: Readonly<Record<string, Lost>> = {
  Map: {
    is: 'a Map',
    becomes: '{}',
    instead: 'put its entries there, `[...map]`, and make a Map of them again, `new Map(entries)`',
  },
  Set: {
    is: 'a Set',
    becomes: '{}',
    instead: 'put its items there, `[...set]`, and make a Set of them again, `new Set(items)`',
  },
  Promise: { is: 'a promise', becomes: '{}', instead: 'await it before' },
};

function lostOf(value: unknown): Lost | undefined {
  switch (typeof value) {
    case 'bigint': {
      const instead =
        'write it as a text, `String(value)`, and make one of that again, `BigInt(text)`';
      return { is: `the bigint ${value}n`, becomes: 'nothing', instead };
    }
    case 'number':
      if (Number.isFinite(value)) return undefined;
      return { is: String(value), becomes: 'null', instead: 'put null there, and reckon with it' };
    case 'function':
    case 'symbol':
      return { is: `a ${typeof value}`, becomes: 'nothing', instead: 'put data there' };
    case 'object':
      return value === null || isPlain(value) || hasToJson(value) ? undefined : lostObject(value);
    default:
      return undefined;
  }
}

function lostObject(value: object): Lost | undefined {
  const known = NOT_AS_IT_IS[kindOf(value)];
  if (known !== undefined) return known;
  if (ArrayBuffer.isView(value) || kindOf(value) === 'ArrayBuffer') {
    const instead = "write them as a text, `Buffer.from(bytes).toString('base64')`";
    return { is: 'bytes', becomes: 'an object with a field for each', instead };
  }
  if (Object.keys(value).length > 0) return undefined;
  const instead = 'put a plain object there, with all that is to be kept, and make it anew of that';
  return { is: `${instance(value)}, with no field that JSON sees`, becomes: '{}', instead };
}

function alteredOf(value: object): Lost | undefined {
  if (isPlain(value)) return undefined;
  if (kindOf(value) === 'Date') {
    const instead = 'keep its milliseconds, `date.getTime()`, or make a Date of the text again';
    return { is: 'a Date', becomes: 'a text', instead };
  }
  if (ArrayBuffer.isView(value)) {
    const instead = 'make bytes of that again, `Buffer.from(value)`';
    return { is: 'a Buffer', becomes: 'an object with `type` and `data`', instead };
  }
  if (hasToJson(value)) return undefined;
  const instead = `put a plain object there, or make ${instance(value)} of that again`;
  return { is: instance(value), becomes: 'a plain object without its methods', instead };
}

function hasToJson(value: object): value is { toJSON(): unknown } {
  return 'toJSON' in value && typeof value.toJSON === 'function';
}

function instance(value: object): string {
  return `an instance of ${value.constructor?.name || 'a class'}`;
}

/** `Map`, also for one of another realm, as test runners have them. */
function kindOf(value: object): string {
  return Object.prototype.toString.call(value).slice('[object '.length, -1);
}

/** Also where the object is of another realm. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null || Array.isArray(value)) return true;
  return Object.getPrototypeOf(prototype) === null;
}
