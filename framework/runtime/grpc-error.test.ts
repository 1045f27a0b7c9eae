import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { type ErrorCode, VarlogError } from '../base/index.ts';
import { ErrorDetail } from '../wire/gen/errpb.ts';
import { MembersRequest, Ordering } from '../wire/gen/log.ts';
import { Status } from '../wire/gen/rpc.ts';
import { fromStatus, toStatus } from './grpc-error.ts';
import { GrpcNetwork } from './grpc-network.ts';

const bare = (code: status, details: string, metadata = new Metadata()): StatusObject => ({
  code,
  details,
  metadata,
});

describe('errors on their way over gRPC', () => {
  test.each<[ErrorCode, status]>([
    ['SEALED', status.FAILED_PRECONDITION],
    ['NOT_PRIMARY', status.UNAVAILABLE],
    ['LOG_STREAM_NOT_FOUND', status.NOT_FOUND],
    ['EMPTY_BATCH', status.INVALID_ARGUMENT],
    ['TRIMMED', status.OUT_OF_RANGE],
    ['RESOURCE_EXHAUSTED', status.RESOURCE_EXHAUSTED],
    ['ALREADY_EXISTS', status.ALREADY_EXISTS],
    ['FAILED_PRECONDITION', status.FAILED_PRECONDITION],
    ['APPEND_UNKNOWN', status.UNKNOWN],
  ])('%s is what the published interface calls %p', (code, expected) => {
    expect(toStatus(new VarlogError(code, { what: 'x' })).code).toBe(expected);
  });

  test.each<[ErrorCode, string]>([
    ['TRIMMED', 'logstream: trimmed'],
    ['SEALED', 'sealed'],
    ['TOPIC_NOT_FOUND', 'not exist'],
  ])('%s carries the sentence that the Go client knows it by: %s', (code, sentence) => {
    const { metadata } = toStatus(new VarlogError(code, { what: 'as we say it' }));
    const { details, code: statusCode } = Status.decode(
      metadata!.get('grpc-status-details-bin')[0] as Buffer,
    );
    expect(statusCode).toBeGreaterThan(0);
    expect(details.map((it) => it.typeUrl)).toEqual(
      details.map(() => 'type.googleapis.com/varlog.errpb.ErrorDetail'),
    );
    expect(details.map((it) => ErrorDetail.decode(it.value).errorString)).toEqual([
      `${code}: as we say it.`,
      sentence,
    ]);
  });

  test('an error too large for a header is shortened, not lost', () => {
    const error = new VarlogError('TRIMMED', {
      what: `\u{1F600}\ud800${'x'.repeat(100_000)}`,
      details: { list: 'y'.repeat(100_000) },
    });
    const sent = toStatus(error) as StatusObject;
    let size = encodeURI(sent.details).length;
    for (const [, value] of Object.entries(sent.metadata.getMap())) size += value.length * 1.34;
    expect(size).toBeLessThan(8 * 1024);
    const got = fromStatus('a:1', sent);
    expect(got.code).toBe('TRIMMED');
    expect(got.message.slice(0, 50)).toBe(`TRIMMED: \u{1F600}\ufffd${'x'.repeat(38)}`);
  });

  test('a broken invariant of a peer is none of the one that hears of it', () => {
    const sent = toStatus(new VarlogError('INVARIANT', { what: 'the log is dense' }));
    const got = fromStatus('a:1', sent as StatusObject);
    expect(got.code).toBe('INTERNAL');
    expect(got.message).toContain('INVARIANT: the log is dense');
  });

  test('details that JSON cannot say do not hide the error', () => {
    const error = new VarlogError('SEALED', { what: 'x', details: { big: 1n } });
    expect(fromStatus('a:1', toStatus(error) as StatusObject)).toMatchObject({
      code: 'SEALED',
      details: {},
    });
  });

  test.each<[status, string, ErrorCode]>([
    [status.UNAVAILABLE, 'No connection established. Last error: x', 'UNREACHABLE'],
    [status.UNAVAILABLE, 'Name resolution failed for target dns:nowhere:1', 'UNREACHABLE'],
    [status.UNAVAILABLE, 'Connection dropped', 'UNAVAILABLE'],
    [status.UNAVAILABLE, 'read ECONNRESET', 'UNAVAILABLE'],
    [status.CANCELLED, 'Call cancelled', 'UNAVAILABLE'],
    [status.CANCELLED, 'the server said so', 'CANCELLED'],
    [status.DEADLINE_EXCEEDED, 'Deadline exceeded', 'TIMEOUT'],
    [status.UNIMPLEMENTED, 'unknown service', 'UNIMPLEMENTED'],
    [status.NOT_FOUND, 'not exist', 'NOT_FOUND'],
    [status.PERMISSION_DENIED, 'no', 'INTERNAL'],
    [status.UNKNOWN, 'no idea', 'INTERNAL'],
  ])('status %p "%s" of a stranger becomes %s', (code, details, expected) => {
    const error = fromStatus('a:1', bare(code, details));
    expect(error.code).toBe(expected);
    expect(error.message).toContain('a:1');
  });

  test('a server that speaks something else is not said to be silent', async () => {
    const server = createServer((_, response) => response.end('hello'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const channel = new GrpcNetwork().connect(address, {});
    try {
      await expect(channel.call(Ordering.Members, MembersRequest.create({}))).rejects.toMatchObject(
        {
          code: 'UNREACHABLE',
          message: expect.stringMatching(`what answers at ${address} does not speak gRPC`),
        },
      );
    } finally {
      channel.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  test.each([
    ['Deadline exceeded after 1.007s,Waiting for LB pick', /nothing answers at a:1.*no connection/],
    ['Deadline exceeded after 1.007s,LB pick: 0.001s,remote_addr=a:1', /a:1 did not answer/],
    ['Deadline exceeded', /a:1 did not answer/],
  ])('silence is told in our words, and not as "%s"', (details, told) => {
    const error = fromStatus('a:1', bare(status.DEADLINE_EXCEEDED, details));
    expect(error).toMatchObject({ code: 'TIMEOUT', message: expect.stringMatching(told) });
    expect(error.message).not.toMatch(/LB pick|exceeded/);
  });

  test.each(['', 'not json', '{"code":"NO_SUCH_CODE"}', 'null', '[]'])(
    'metadata of a stranger does no harm: %p',
    (text) => {
      const metadata = new Metadata();
      metadata.set('varlog-error-bin', Buffer.from(text));
      expect(fromStatus('a:1', bare(status.NOT_FOUND, 'x', metadata)).code).toBe('NOT_FOUND');
    },
  );
});
