import { reasonOf, VarlogError } from '../base/index.ts';

/** Where a command writes: text for people, or one JSON value a line for programs. */
export interface Output {
  /** Whether it writes for programs. */
  readonly isJson: boolean;
  /** A result. `text` is left out with `--json`, `value` without. */
  result(value: unknown, text: string): void;
  /** Bytes as they are. */
  bytes(data: Uint8Array): void;
  /** Progress and hints: only for people, and never on the standard output. */
  note(text: string): void;
  error(error: unknown): void;
}

export function makeOutput(
  json: boolean,
  streams: { out: (data: string | Uint8Array) => void; err: (line: string) => void },
): Output {
  return {
    isJson: json,
    result: (value, text) => streams.out(`${json ? jsonOf(value) : text}\n`),
    bytes: (data) => streams.out(data),
    note: (text) => {
      if (!json) streams.err(text);
    },
    error: (error) => {
      const message = reasonOf(error);
      if (!json) {
        streams.err(message);
      } else if (VarlogError.is(error)) {
        const { code, retryable, outcome, details } = error;
        streams.err(JSON.stringify({ error: { code, message, retryable, outcome, details } }));
      } else {
        streams.err(JSON.stringify({ error: { code: 'INTERNAL', message } }));
      }
    },
  };
}

/**
 * A value of whatever kind as JSON on one line: bytes as their text, or as `base64:…` where they are none; large integers as
 * text; maps and sets as lists.
 */
export function jsonOf(value: unknown): string {
  const shown = function (this: Record<string, unknown>, key: string, given: unknown): unknown {
    // As it was before `toJSON`, which a Buffer has.
    const it = this[key];
    if (it instanceof Uint8Array) return textOf(it);
    if (typeof it === 'bigint') return String(it);
    return it instanceof Map || it instanceof Set ? [...it] : given;
  };
  return JSON.stringify(value, shown) ?? '';
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return `base64:${Buffer.from(bytes).toString('base64')}`;
  }
}

/** Columns as wide as their widest cell; the last one is left as it is. */
export function table(head: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const cells = [head, ...rows.map((row) => row.map(String))];
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  return cells
    .map((row) =>
      row
        .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
