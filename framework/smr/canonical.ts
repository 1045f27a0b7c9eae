import { sha256 } from '../base/index.ts';
import { Pieces } from './pieces.ts';

/** Text is hashed in pieces of about so many characters: a state may be longer than a string can be. */
const CHUNK = 64 * 1024;

/**
 * A value as far as it counts when two of them are compared: what JSON would keep of it, and beside that bytes, big
 * integers and what can be iterated. The order of an object's fields does not count, that of everything else does.
 */
export type Canonical =
  | { readonly kind: 'leaf'; readonly text: string }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'list'; readonly items: Iterable<unknown> }
  | { readonly kind: 'fields'; readonly names: readonly string[]; readonly of: Fields };

type Fields = Readonly<Record<string, unknown>>;

export function canonicalOf(value: unknown): Canonical {
  if (value === null || value === undefined) return leaf('null');
  if (typeof value === 'string') return leaf(JSON.stringify(value));
  if (typeof value === 'bigint') return leaf(`${value}n`);
  // JSON knows one zero.
  if (typeof value === 'number') return leaf(String(value === 0 ? 0 : value));
  if (typeof value !== 'object') return leaf(isLeftOut(value) ? 'null' : String(value));
  if (value instanceof ArrayBuffer) return { kind: 'bytes', bytes: new Uint8Array(value) };
  if (ArrayBuffer.isView(value)) {
    const { buffer, byteOffset, byteLength } = value;
    return { kind: 'bytes', bytes: new Uint8Array(buffer, byteOffset, byteLength) };
  }
  if (Pieces.is(value)) return { kind: 'list', items: value.begin() };
  if ('toJSON' in value && typeof value.toJSON === 'function') return canonicalOf(value.toJSON());
  if (Symbol.iterator in value) return { kind: 'list', items: value as Iterable<unknown> };
  const of = value as Fields;
  const names = Object.keys(of).filter((name) => !isLeftOut(of[name]));
  return { kind: 'fields', names: names.sort(), of };
}

/** SHA-256, in hex, of what counts of a value: see {@link Canonical}. */
export function canonicalHash(value: unknown): string {
  const digest = new Digest();
  digest.add(value);
  return digest.finish();
}

/**
 * A machine's state, for comparing: what was hashed, a colon, and the hash. Only what agrees before the colon can be
 * compared. `version`: shape of its snapshots.
 */
export function hashOf(machine: { hash?(): string; snapshot(): unknown }, version: number): string {
  if (machine.hash !== undefined) return `hash ${version}:${canonicalHash(machine.hash())}`;
  const state = machine.snapshot();
  const what = Pieces.is(state) ? 'pieces' : 'snapshot';
  return `${what} ${version}:${canonicalHash(state)}`;
}

class Digest {
  private text = '';
  private sum: Uint8Array = new Uint8Array();

  add(value: unknown): void {
    const it = canonicalOf(value);
    if (it.kind === 'leaf') this.write(it.text);
    else if (it.kind === 'bytes') this.writeBytes(it.bytes);
    else if (it.kind === 'list') {
      this.write('[');
      for (const item of it.items) {
        this.add(item);
        this.write(',');
      }
      this.write(']');
    } else {
      this.write('{');
      for (const name of it.names) {
        this.write(`${JSON.stringify(name)}:`);
        this.add(it.of[name]);
        this.write(',');
      }
      this.write('}');
    }
  }

  finish(): string {
    this.flush();
    return Buffer.from(this.sum).toString('hex');
  }

  private write(text: string): void {
    this.text += text;
    if (this.text.length >= CHUNK) this.flush();
  }

  private writeBytes(bytes: Uint8Array): void {
    this.write(`${bytes.length} bytes`);
    this.flush();
    this.sum = sha256(this.sum, bytes);
  }

  private flush(): void {
    this.sum = sha256(this.sum, Buffer.from(this.text));
    this.text = '';
  }
}

function leaf(text: string): Canonical {
  return { kind: 'leaf', text };
}

/** As JSON leaves it out of an object. */
function isLeftOut(value: unknown): boolean {
  return value === undefined || typeof value === 'function' || typeof value === 'symbol';
}
