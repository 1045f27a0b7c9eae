import {
  type Codec,
  type Handler,
  handler,
  type ServerStreamMethod,
  type UnaryMethod,
  VarlogError,
} from '../base/index.ts';

/** `HealthCheckRequest { string service = 1; }`, of which only the name is read. */
const serviceName: Codec<string> = {
  encode: (name) => {
    const bytes = new TextEncoder().encode(name);
    return bytes.length === 0 ? bytes : Uint8Array.of(0x0a, bytes.length, ...bytes);
  },
  decode: (bytes) => new TextDecoder().decode(bytes.subarray(2)),
};

/** `HealthCheckResponse { ServingStatus status = 1; }`. */
const servingStatus: Codec<number> = {
  encode: (status) => Uint8Array.of(0x08, status),
  decode: (bytes) => bytes[1] ?? 0,
};

const SERVING = 1;
const SERVICE_UNKNOWN = 3;

const SERVICE = '/grpc.health.v1.Health/';

/** Whether it is a path of the health service. */
export function isHealthPath(path: string): boolean {
  return path.startsWith(SERVICE);
}

const shape = { request: serviceName, response: servingStatus };
export const healthCheck: UnaryMethod<string, number> = {
  kind: 'unary',
  path: `${SERVICE}Check`,
  ...shape,
};
export const healthWatch: ServerStreamMethod<string, number> = {
  kind: 'serverStream',
  path: `${SERVICE}Watch`,
  ...shape,
};

/**
 * The health service that gRPC defines (grpc/health/v1/health.proto), for the process as a whole: one
 * that answers is serving. Whether a node is ready for work is a question for its HTTP endpoint.
 */
export const healthHandlers: readonly Handler[] = [
  handler(healthCheck, async (service) => {
    if (service === '') return SERVING;
    throw new VarlogError('NOT_FOUND', {
      what: `no health is kept for the service "${service}"`,
      next: 'ask for the service "", which stands for the process',
    });
  }),
  handler(healthWatch, async (service, stream) => {
    stream.send(service === '' ? SERVING : SERVICE_UNKNOWN);
    await stream.closed;
  }),
];
