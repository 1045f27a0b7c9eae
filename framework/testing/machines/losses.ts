import {
  type Codec,
  type JsonLoss,
  jsonLosses,
  lossParts,
  reasonOf,
  VarlogError,
} from '../../base/index.ts';
import { isJson } from '../../smr/codecs.ts';
import { defect } from './defect.ts';

type Part = 'command' | 'result' | 'change' | 'snapshot';

/**
 * What JSON does not keep of the values of a machine. What is lost for certain is an error at once: who was restored or was
 * told a result would not have it, and the test might never look at it. What is only altered is fine where the
 * machine reckons with that, and is told where something fails.
 */
export class Losses {
  private readonly altered = new Map<Part, JsonLoss>();

  /** The codec; if it is JSON, one that looks at what it encodes. Encoding throws what `part` calls for. */
  watch<T>(part: Part, codec: Codec<T>): Codec<T> {
    if (!isJson(codec)) return codec;
    return {
      encode: (value) => {
        const { lost, altered } = jsonLosses(value);
        if (lost !== undefined) throw refused(part, lost);
        if (altered !== undefined && !this.altered.has(part)) this.altered.set(part, altered);
        return codec.encode(value);
      },
      decode: (bytes) => codec.decode(bytes),
    };
  }

  /** In words, what a failure may come from; `undefined` where there is nothing. */
  get hint(): string | undefined {
    if (this.altered.size === 0) return undefined;
    const told = [...this.altered].map(([part, { path, is, becomes, instead }]) => {
      return `a ${part} has ${is} at ${path}, of which JSON, the codec where none is given, makes ${becomes}: ${instead}`;
    });
    return `It may come from this: ${told.join('; ')}; or give a codec that keeps it`;
  }

  /** What was thrown, with the hint where there is one. */
  explained(error: unknown): unknown {
    const { hint } = this;
    if (hint === undefined || VarlogError.is(error, 'INVALID_ARGUMENT')) return error;
    const isDefect = VarlogError.is(error, 'MACHINE_DEFECT');
    const said = reasonOf(error)
      .replace(/^MACHINE_DEFECT: /, '')
      .replace(/\.$/, '');
    return new VarlogError('MACHINE_DEFECT', {
      what: `${said}. ${hint}`,
      details: isDefect ? error.details : { kind: 'threw' },
      cause: error,
    });
  }
}

function refused(part: Part, lost: JsonLoss): VarlogError {
  const parts = lossParts(`a ${part}`, lost);
  // Commands are those of the test.
  if (part === 'command') return new VarlogError('INVALID_ARGUMENT', parts);
  return defect('threw', 0, parts);
}
