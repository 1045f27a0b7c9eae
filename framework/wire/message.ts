import protobuf from 'protobufjs/light.js';
import {
  type BidiMethod,
  type Codec,
  type InPlaceEncoder,
  type ServerStreamMethod,
  type UnaryMethod,
  VarlogError,
} from '../base/index.ts';
import { GatheringWriter } from './gathering-writer.ts';
import { descriptor } from './gen/descriptor.ts';
import { IN_PLACE } from './in-place.ts';

// Without this protobufjs returns objects of the package `long` for 64-bit fields. All of ours are
// below 2^53; what arrives from elsewhere is checked where it becomes a position.
(protobuf.util as { Long: unknown }).Long = null;
protobuf.configure();

const root = protobuf.Root.fromJSON(descriptor as protobuf.INamespace);

/** The codec of one kind of message. */
export interface MessageCodec<T> extends Codec<T> {
  /**
   * A message of which only some fields are given; the others have the defaults of proto3. Defaults
   * live on the prototype, as in decoded messages: copy such a message with `create`, not by spreading.
   */
  create(fields: Partial<T>): T;
  encodeParts(message: T): readonly Uint8Array[];
}

/** What a writer may keep in memory between messages. */
const KEPT_BYTES_MAX = 4 * 1024 * 1024;
let writer = new GatheringWriter();

/** Writes a message into one buffer that grows once, and takes out what came of it. */
function write<T>(type: protobuf.Type, value: object, take: (written: GatheringWriter) => T): T {
  try {
    type.encode(value, writer);
    const taken = take(writer);
    if (writer.pos > KEPT_BYTES_MAX) writer = new GatheringWriter();
    else writer.reset();
    return taken;
  } catch (error) {
    // It is in the middle of a message.
    writer = new GatheringWriter();
    throw error;
  }
}

const NO_BYTES = new Uint8Array(0);

/** The description of a message. The default of a field of bytes is an array, with protobufjs: here it is bytes. */
function typeOf(fullName: string): protobuf.Type {
  const type = root.lookupType(fullName);
  const defaults = type.ctor.prototype as unknown as Record<string, unknown>;
  for (const field of type.fieldsArray) {
    if (field.type === 'bytes' && !field.repeated) defaults[field.name] = NO_BYTES;
  }
  return type;
}

/**
 * Makes messages from some of their fields, as `type.create` does, but names each field instead of walking over them: that
 * takes a fraction of the time. What has no such field is left out.
 */
function maker<T>(type: protobuf.Type): (fields: Partial<T>) => T {
  const body = protobuf.util.codegen(['f'], 'create')('var m=new C');
  for (const { name } of type.fieldsArray) {
    // Only its own: what comes from the prototype of a decoded message is a default, and defaults are not sent.
    body(`if(h.call(f,${JSON.stringify(name)})&&f.${name}!=null)m.${name}=f.${name}`);
  }
  return body('return m')({ C: type.ctor, h: Object.prototype.hasOwnProperty }) as (
    fields: Partial<T>,
  ) => T;
}

/** Finds the codec of a message by its full name. For the generated code. */
export function message<T>(fullName: string): MessageCodec<T> {
  const type = typeOf(fullName);
  return {
    inPlace: IN_PLACE[fullName] as InPlaceEncoder<T> | undefined,
    encode: (value) => write(type, value as object, (it) => it.whole()),
    encodeParts: (value) => write(type, value as object, (it) => it.parts()),
    decode: (bytes) => {
      try {
        return type.decode(bytes) as T;
      } catch (cause) {
        throw new VarlogError('INVALID_ARGUMENT', {
          what: `${bytes.length} bytes are not a ${fullName}`,
          because: 'the peer may speak another version of the protocol',
          cause,
        });
      }
    },
    create: maker<T>(type),
  };
}

/** Describe a service's methods. For the generated code. */
export function unary<Request, Response>(
  service: string,
  name: string,
  request: Codec<Request>,
  response: Codec<Response>,
): UnaryMethod<Request, Response> {
  return { kind: 'unary', path: `/${service}/${name}`, request, response };
}

export function serverStream<Request, Response>(
  service: string,
  name: string,
  request: Codec<Request>,
  response: Codec<Response>,
): ServerStreamMethod<Request, Response> {
  return { kind: 'serverStream', path: `/${service}/${name}`, request, response };
}

export function bidi<Request, Response>(
  service: string,
  name: string,
  request: Codec<Request>,
  response: Codec<Response>,
): BidiMethod<Request, Response> {
  return { kind: 'bidi', path: `/${service}/${name}`, request, response };
}
