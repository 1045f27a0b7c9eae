import { checkKeptByJson } from '../../base/index.ts';
import { checkedBy, type StandardSchema } from './standard-schema.ts';

/**
 * How the records of a topic become values for the program, and values become records. Both are called at once and
 * must not wait. `encode` throws for a value that is none; `decode` throws for bytes that are no such value.
 */
export interface RecordCodec<T, In = T> {
  encode(value: In): Uint8Array;
  /** `bytes` is a view of the message that brought the record: a codec that keeps it copies it. */
  decode(bytes: Uint8Array): T;
}

/** What can be appended as a record where no codec says otherwise. Text is stored as UTF-8. */
export type RecordInput = Uint8Array | string;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
/** Says so when bytes are no text, instead of replacing them. */
const strictDecoder = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

/** Records as they are; text is stored as UTF-8. What a topic without a codec has. */
export const bytes: RecordCodec<Uint8Array, RecordInput> = {
  encode: (value) => {
    if (value instanceof Uint8Array) return value;
    if (typeof value === 'string') return encoder.encode(value);
    throw new TypeError(
      `it is neither bytes nor text but ${kindOf(value)}; text such as JSON.stringify(value) would be`,
    );
  },
  decode: (it) => it,
};

/** Text in UTF-8. Bytes that are no UTF-8 are not decoded. */
export const text: RecordCodec<string> = {
  encode: (value) => {
    if (typeof value === 'string') return encoder.encode(value);
    throw new TypeError(`it is no text but ${kindOf(value)}`);
  },
  decode: (it) => strictDecoder.decode(it),
};

/**
 * JSON in UTF-8. What JSON would leave nothing of, such as a `Map`, `NaN` or bytes, is refused; a `Date` becomes a text. With a schema (any that follows Standard Schema: zod, valibot, arktype), what is written is checked as its
 * readers will see it, after JSON, and what is read is checked again and given as the schema puts it out. Without,
 * `T` is what the caller takes it for.
 *
 * ```ts
 * const orders = varlog.topic(1, { codec: json(z.object({ id: z.string(), amount: z.number() })) });
 * await orders.append({ id: 'a', amount: 3 });
 * for await (const { value } of orders.read()) console.log(value.amount);
 * ```
 */
export function json<T>(): RecordCodec<T>;
export function json<In, Out>(schema: StandardSchema<In, Out>): RecordCodec<Out, In>;
export function json<In, Out>(schema?: StandardSchema<In, Out>): RecordCodec<Out, In> {
  return {
    encode: (value) => {
      checkKeptByJson(value, 'the value');
      const written = JSON.stringify(value);
      if (written === undefined) throw new TypeError(`JSON has no ${kindOf(value)}`);
      if (schema !== undefined) checkedBy(schema, JSON.parse(written));
      return encoder.encode(written);
    },
    decode: (it) => {
      const value: unknown = JSON.parse(decoder.decode(it).replace(/^\uFEFF/, ''));
      return schema === undefined ? (value as Out) : checkedBy(schema, value);
    },
  };
}

/** A message type as code generators for protobuf make them: ts-proto, protobufjs, and those alike. */
export interface MessageType<T, In = T> {
  encode(message: In): Uint8Array | { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/** Messages of protobuf. */
export function protobuf<T, In = T>(type: MessageType<T, In>): RecordCodec<T, In> {
  return {
    encode: (message) => {
      const encoded = type.encode(message);
      return encoded instanceof Uint8Array ? encoded : encoded.finish();
    },
    decode: (it) => type.decode(it),
  };
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : typeof value;
}
