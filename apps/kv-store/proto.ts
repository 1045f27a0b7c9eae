import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import protobuf from 'protobufjs/light.js';
import { descriptor } from './gen/descriptor.ts';

/** All messages of kv.proto and stored.proto. */
export const messages = protobuf.Root.fromJSON(descriptor as protobuf.INamespace);

/** `kv.KeyValue` as grpc-js wants it. Messages are plain objects with every field set. */
export const keyValue: ServiceDefinition = Object.fromEntries(
  messages.lookupService('kv.KeyValue').methodsArray.map((method) => {
    method.resolve();
    return [method.name, define(method)];
  }),
);

function define(method: protobuf.Method): MethodDefinition<object, object> {
  const { resolvedRequestType: request, resolvedResponseType: response } = method;
  // In Node.js a writer finishes with a Buffer.
  const encode = (type: protobuf.Type, value: object) => type.encode(value).finish() as Buffer;
  const decode = (type: protobuf.Type) => (bytes: Buffer) =>
    type.toObject(type.decode(bytes), { longs: Number, defaults: true, oneofs: true });
  return {
    path: `/kv.KeyValue/${method.name}`,
    requestStream: method.requestStream === true,
    responseStream: method.responseStream === true,
    // Callers without types may have put anything into it.
    requestSerialize: (value) => encode(request!, request!.fromObject(value)),
    requestDeserialize: decode(request!),
    responseSerialize: (value) => encode(response!, value),
    responseDeserialize: decode(response!),
  };
}
