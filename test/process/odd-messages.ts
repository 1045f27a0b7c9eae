import protobuf from 'protobufjs';

/** A number from 0 to `limit - 1`. */
export type Draw = (limit: number) => number;

const WHOLE = [
  '0',
  '1',
  '2',
  '3',
  '100',
  '2147483647',
  '4294967295',
  '9007199254740993',
  '18446744073709551615',
];
const SMALL = [0, 1, 2, 3, 100, 2 ** 31 - 1];
const REAL = [0, -1, 1.5, NaN, Infinity, 2 ** 53];
const TEXTS = ['', 'x', '127.0.0.1:1', 'a'.repeat(300), '\0', 'läßt', '../..'];
const LENGTHS = [0, 1, 8, 40, 3_000];
const DEPTH_MAX = 3;

/** A method that any client can call. */
export interface Method {
  /** As HTTP/2 names it: `/package.Service/Method`. */
  readonly path: string;
  readonly isStream: boolean;
  /** A request that is well-formed, of which each field is odd, or missing. */
  request(draw: Draw): Buffer;
}

/** All methods of all services that a descriptor has. */
export function methodsIn(descriptor: object): Method[] {
  const root = protobuf.Root.fromJSON(descriptor as protobuf.INamespace);
  root.resolveAll();
  return servicesIn(root).flatMap((service) =>
    service.methodsArray.map((method) => {
      const type = method.resolvedRequestType!;
      return {
        path: `${service.fullName.replace('.', '/')}/${method.name}`,
        isStream: method.requestStream === true || method.responseStream === true,
        request: (draw) =>
          Buffer.from(type.encode(type.fromObject(messageOf(type, draw))).finish()),
      };
    }),
  );
}

function servicesIn(scope: protobuf.NamespaceBase): protobuf.Service[] {
  return scope.nestedArray.flatMap((it) => {
    if (it instanceof protobuf.Service) return [it];
    return it instanceof protobuf.Namespace ? servicesIn(it) : [];
  });
}

function messageOf(type: protobuf.Type, draw: Draw, depth = 0): Record<string, unknown> {
  const message: Record<string, unknown> = {};
  for (const field of type.fieldsArray) {
    if (draw(10) < 3 || depth > DEPTH_MAX || field.map) continue;
    const one = (): unknown => fieldOf(field, draw, depth);
    message[field.name] = field.repeated ? Array.from({ length: draw(4) }, one) : one();
  }
  return message;
}

function fieldOf({ type, resolvedType }: protobuf.Field, draw: Draw, depth: number): unknown {
  const pick = <T>(from: readonly T[]): T => from[draw(from.length)]!;
  if (resolvedType instanceof protobuf.Enum) return draw(20);
  if (resolvedType instanceof protobuf.Type) return messageOf(resolvedType, draw, depth + 1);
  if (type === 'string') return pick(TEXTS);
  if (type === 'bytes') return Buffer.from(Array.from({ length: pick(LENGTHS) }, () => draw(256)));
  if (type === 'bool') return draw(2) === 0;
  if (type === 'double' || type === 'float') return pick(REAL);
  return type.endsWith('64') ? pick(WHOLE) : pick(SMALL);
}
