import type { ErrorCode } from '../base/index.ts';
import { ErrorDetail } from '../wire/gen/errpb.ts';
import { Any, Status } from '../wire/gen/rpc.ts';

/** The trailer in which gRPC carries the details of an error. */
export const DETAILS_KEY = 'grpc-status-details-bin';

/** The sentences by which the published Go client knows an error: it reads them from the details. */
const SENTENCES: Partial<Record<ErrorCode, string>> = {
  ALREADY_EXISTS: 'already exists',
  CORRUPT: 'storage: corrupt',
  INVALID_ARGUMENT: 'status - invalid argument',
  LOG_STREAM_NOT_FOUND: 'not exist',
  NOT_FOUND: 'not exist',
  SEALED: 'sealed',
  TOPIC_NOT_FOUND: 'not exist',
  TRIMMED: 'logstream: trimmed',
};

/**
 * What the published Go client makes its own error values from, where it has one for `code`: a
 * sequence of `ErrorDetail`s from the outermost error to the innermost.
 */
export function publishedDetail(
  code: ErrorCode,
  statusCode: number,
  message: string,
): Uint8Array | undefined {
  const sentence = SENTENCES[code];
  if (sentence === undefined) return undefined;
  const details = [message, sentence].map((errorString) =>
    Any.create({
      typeUrl: 'type.googleapis.com/varlog.errpb.ErrorDetail',
      value: ErrorDetail.encode(ErrorDetail.create({ errorString })),
    }),
  );
  return Status.encode(Status.create({ code: statusCode, message, details }));
}
