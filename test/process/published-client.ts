import { join } from 'node:path';
import {
  Client,
  type ClientReadableStream,
  credentials,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { ROOT } from './local-processes.ts';

const FILES = ['admpb', 'mrpb', 'snpb'].map((it) => `varlog/${it}.proto`);

/** The published protos, read from their files: an outside client has nothing else of this project. */
const root = ((): protobuf.Root => {
  const loaded = new protobuf.Root();
  const folder = join(ROOT, 'framework/wire/proto');
  loaded.resolvePath = (_, target) =>
    target.startsWith('varlog/') ? join(folder, target) : target;
  loaded.loadSync(FILES);
  loaded.resolveAll();
  return loaded;
})();

/** How a call ended, and what came before that. */
export interface Ended {
  readonly code: number;
  readonly details: string;
  readonly answers: Record<string, unknown>[];
}

/** Every call of the published services, as `varlog.snpb.LogIO/Append`. */
export const PUBLISHED_CALLS: readonly string[] = servicesIn(root).flatMap((service) =>
  service.methodsArray.map((it) => `${service.fullName.slice(1)}/${it.name}`),
);

function servicesIn(scope: protobuf.NamespaceBase): protobuf.Service[] {
  return scope.nestedArray.flatMap((it) => {
    if (it instanceof protobuf.Service) return [it];
    return it instanceof protobuf.Namespace ? servicesIn(it) : [];
  });
}

/** A client of the published services at one address. */
export class OutsideClient implements Disposable {
  private readonly client: Client;

  constructor(address: string) {
    this.client = new Client(address, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
    });
  }

  /** Makes a call with one request, given by the names of its fields in camel case, and waits for its end. */
  call(name: string, request: object = {}): Promise<Ended> {
    const [service, method] = name.split('/') as [string, string];
    const shape = root.lookupService(service).methods[method]!;
    const type = shape.resolvedRequestType!;
    const encode = (it: object): Buffer => Buffer.from(type.encode(type.fromObject(it)).finish());
    const decode = (bytes: Buffer): Record<string, unknown> => {
      const answer = shape.resolvedResponseType!;
      return answer.toObject(answer.decode(bytes), { longs: Number, defaults: true });
    };
    const options = { deadline: Date.now() + 20_000 };
    const path = `/${name}`;
    return new Promise((resolve) => {
      const answers: Record<string, unknown>[] = [];
      const ended = ({ code, details }: { code: number; details: string }): void =>
        resolve({ code, details, answers });
      if (!shape.requestStream && !shape.responseStream) {
        const done = (error: ServiceError | null, answer?: Record<string, unknown>): void => {
          if (answer !== undefined) answers.push(answer);
          ended(error ?? { code: status.OK, details: '' });
        };
        this.client.makeUnaryRequest(path, encode, decode, request, options, done);
        return;
      }
      const hear = (stream: ClientReadableStream<Record<string, unknown>>): void => {
        stream.on('data', (answer: Record<string, unknown>) => answers.push(answer));
        stream.on('error', () => {});
        stream.on('status', ended);
      };
      if (shape.requestStream) {
        const stream = this.client.makeBidiStreamRequest(path, encode, decode, options);
        hear(stream);
        stream.write(request);
        stream.end();
      } else {
        hear(this.client.makeServerStreamRequest(path, encode, decode, request, options));
      }
    });
  }

  /** The same for a call that has one answer; throws where it has none. */
  async answer(name: string, request: object = {}): Promise<Record<string, unknown>> {
    const { code, details, answers } = await this.call(name, request);
    if (code === status.OK) return answers[0]!;
    throw new Error(`${name}: ${status[code]}: ${details}`);
  }

  [Symbol.dispose](): void {
    this.client.close();
  }
}
