import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import protobuf from 'protobufjs/light.js';
import { descriptor } from './gen/descriptor.ts';

/** All messages of the .proto files here. */
export const messages = protobuf.Root.fromJSON(descriptor as protobuf.INamespace);

/** `kv.KeyValue` as grpc-js wants it. */
export const keyValue = serviceOf('kv.KeyValue');

/** A service as grpc-js wants it. Messages are plain objects; those that are decoded have every field set. */
export function serviceOf(name: string): ServiceDefinition {
  return Object.fromEntries(
    messages.lookupService(name).methodsArray.map((method) => {
      method.resolve();
      return [method.name, define(`/${name}/${method.name}`, method)];
    }),
  );
}

/** A decoded message as a plain object with every field set, the name of the one that is set in each `oneof`, and numbers. */
export function plain<T>(type: protobuf.Type, message: protobuf.Message): T {
  return type.toObject(message, { longs: Number, defaults: true, oneofs: true }) as T;
}

function define(path: string, method: protobuf.Method): MethodDefinition<object, object> {
  const { resolvedRequestType: request, resolvedResponseType: response } = method;
  // In Node.js a writer finishes with a Buffer.
  const encode = (type: protobuf.Type, value: object) => type.encode(value).finish() as Buffer;
  const decode = (type: protobuf.Type) => (bytes: Buffer) =>
    plain<object>(type, type.decode(bytes));
  return {
    path,
    requestStream: method.requestStream === true,
    responseStream: method.responseStream === true,
    // Callers without types may have put anything into it.
    requestSerialize: (value) => encode(request!, request!.fromObject(value)),
    requestDeserialize: decode(request!),
    responseSerialize: (value) => encode(response!, value),
    responseDeserialize: decode(response!),
  };
}
