import { VarlogError } from '../../base/index.ts';
import { fromBase64, type RecordFormat } from './record-input.ts';

/** What goes to one log stream. */
interface Part {
  readonly logStream: number;
  readonly records: (string | Uint8Array)[];
}

/** The parts of an atomic append, of texts as `3=hello`: each names its log stream. Throws `INVALID_ARGUMENT`. */
export function atomicParts(texts: readonly string[], format: RecordFormat): Part[] {
  const parts = new Map<number, Part>();
  for (const given of texts) {
    const [, id, text] = /^(\d+)=(.*)$/s.exec(given) ?? [];
    if (id === undefined || text === undefined) {
      throw new VarlogError('INVALID_ARGUMENT', {
        what: `"${given.slice(0, 60)}" does not say to which log stream it goes`,
        next: 'give each text as LOG_STREAM=TEXT, for example 3=hello',
        outcome: 'notAppended',
      });
    }
    const logStream = Number(id);
    const part = parts.get(logStream) ?? { logStream, records: [] };
    part.records.push(format === 'base64' ? fromBase64(text) : text);
    parts.set(logStream, part);
  }
  return [...parts.values()];
}
