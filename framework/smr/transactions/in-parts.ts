/** A part of a snapshot is encoded and decoded in one turn: about as much as that takes a fraction of a millisecond for. */
const PART_CHARACTERS = 32 * 1024;
/** About what a small object takes. */
const OVERHEAD_CHARACTERS = 100;

/** Entries in parts of about {@link PART_CHARACTERS} and one entry more; equal entries come in equal parts. */
export function* inParts<Value>(
  entries: Iterable<readonly [string, Value]>,
): Generator<(readonly [string, Value])[]> {
  let part: (readonly [string, Value])[] = [];
  let characters = 0;
  for (const entry of entries) {
    part.push(entry);
    characters += charactersOf(entry);
    if (characters < PART_CHARACTERS) continue;
    yield part;
    part = [];
    characters = 0;
  }
  if (part.length > 0) yield part;
}

function charactersOf([key, value]: readonly [string, unknown]): number {
  let characters = OVERHEAD_CHARACTERS + key.length;
  for (const it of Object.values(Object(value)))
    if (typeof it === 'string') characters += it.length;
  return characters;
}
