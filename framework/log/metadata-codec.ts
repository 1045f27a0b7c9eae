import { type Codec, isErrorCode } from '../base/index.ts';
import { Command, Refusal, Result } from '../wire/gen/metadata.ts';
import {
  aboveSupported,
  cut,
  definitionOf,
  definitionOfNumber,
  type MetadataCommand,
  type MetadataResult,
} from './core/index.ts';

/**
 * Commands as they lie in the log. What was written before there were feature levels is read as well. Decoding
 * throws `APPLY_FAILED` for a command above `supportedLevel`: such a member stops, and goes on after the same
 * command once it was upgraded.
 */
export function commandCodec(supportedLevel: number): Codec<MetadataCommand> {
  return {
    encode: (command) => {
      const { number, level, message, toMessage } = definitionOf(command);
      if (command.kind === 'cut') {
        // On the path of every append: its message is the command itself, and takes a few bytes.
        const whole = Command.create(cut.toMessage(command));
        whole.level = level;
        return Command.encode(whole);
      }
      const body = message.encode(message.create(toMessage(command)));
      return Command.encode(Command.create({ level, number, body }));
    },
    decode: (bytes) => {
      const whole = Command.decode(bytes);
      const { number, level, body, other } = whole;
      if (level > supportedLevel) {
        throw aboveSupported('a command of the metadata', level, supportedLevel);
      }
      if (other !== '') return ofJson(other);
      if (number === cut.number) return cut.fromMessage(whole);
      const { message, fromMessage } = definitionOfNumber(number);
      return fromMessage(message.decode(body));
    },
  };
}

/** What `seal` calls `byOperator` was `hold` then. */
function ofJson(text: string): MetadataCommand {
  const { hold, ...command } = JSON.parse(text) as MetadataCommand & { readonly hold?: boolean };
  return hold === undefined
    ? command
    : ({ ...command, kind: 'seal', byOperator: hold } as MetadataCommand);
}

const NOTHING = new Uint8Array();
const NOTHING_SAID: MetadataResult = { ok: true, value: 0 };
const BRACE = '{'.charCodeAt(0);

/** What came of commands, as it is kept for those who ask again. */
export const resultCodec: Codec<MetadataResult> = {
  encode: (result) => {
    if (!result.ok) {
      const { code, what, next } = result;
      return Result.encode(Result.create({ refusal: Refusal.create({ code, what, next }) }));
    }
    return result.value === 0 ? NOTHING : Result.encode(Result.create({ value: result.value }));
  },
  decode: (bytes) => {
    if (bytes.length === 0) return NOTHING_SAID;
    // Written before there were feature levels; no message begins like that.
    if (bytes[0] === BRACE) return JSON.parse(new TextDecoder().decode(bytes)) as MetadataResult;
    const { value, refusal } = Result.decode(bytes);
    if (refusal === null) return { ok: true, value };
    const { code, what, next } = refusal;
    return { ok: false, code: isErrorCode(code) ? code : 'INTERNAL', what, next };
  },
};
