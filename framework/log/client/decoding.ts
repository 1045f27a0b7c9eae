import { checkNames, checkWord, reasonOf, VarlogError } from '../../base/index.ts';
import type { Decoded, Entry } from './entry.ts';
import { TOPIC_NAMES } from './option-names.ts';
import type { RecordCodec } from './record-codec.ts';

/**
 * What becomes of a record that the topic's codec does not take. `error`: those before it are given, and the iteration
 * rejects with `DECODE_FAILED`. `skip`: it is left out. `pass`: it is given; its `value` throws, and `decodeError` says
 * why.
 */
export type OnDecodeError = 'error' | 'skip' | 'pass';

/** How the records of a topic are made values. */
export interface Decoding<T> {
  readonly codec: RecordCodec<T, never>;
  readonly onDecodeError: OnDecodeError;
}

/** Of what a topic was given; nothing where it has no codec. Throws `INVALID_ARGUMENT` for what is no codec or no policy. */
export function decodingOf<T>(
  options: { codec: RecordCodec<T, never>; onDecodeError?: OnDecodeError } | undefined,
): Decoding<T> | undefined {
  if (options === undefined) return undefined;
  checkNames(options, TOPIC_NAMES, 'a topic');
  const { codec, onDecodeError = 'error' } = options;
  if (typeof codec?.encode !== 'function' || typeof codec.decode !== 'function') {
    throw invalid(
      'codec has no encode and decode',
      'pass json(), text, bytes, protobuf(type), or one of your own',
    );
  }
  checkWord(onDecodeError, 'onDecodeError', ['error', 'skip', 'pass']);
  return { codec, onDecodeError };
}

/** The value of a record, or what the codec says against it, with the record's place. */
export function decodeEntry<T>(codec: RecordCodec<T, never>, entry: Entry<unknown>): Decoded<T> {
  try {
    return { value: codec.decode(entry.bytes) };
  } catch (cause) {
    const { topic, glsn, llsn, logStream } = entry;
    return {
      error: new VarlogError('DECODE_FAILED', {
        what: `record ${glsn} of topic ${topic} is not what the codec takes`,
        because: reasonOf(cause),
        next: `read on with from: ${glsn + 1}, or give onDecodeError: 'skip' or 'pass' with the codec`,
        details: { topic, glsn, llsn, logStream },
        cause,
      }),
    };
  }
}

function invalid(what: string, next: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', { what, next, outcome: 'notAppended' });
}
