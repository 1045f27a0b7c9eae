import type { NamedKey } from './named-key.ts';

const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A value as JSON has it: text where it is text in UTF-8, otherwise in base64. */
export function shown(value: Uint8Array): { value: string } | { base64: string } {
  try {
    return { value: text.decode(value) };
  } catch {
    return { base64: Buffer.from(value).toString('base64') };
  }
}

/** A key as JSON has it: the same. */
export function shownKey({ key, keyBytes }: NamedKey): { key: string } | { keyBase64: string } {
  if (keyBytes === undefined || keyBytes.length === 0) return { key };
  return { keyBase64: Buffer.from(keyBytes).toString('base64') };
}
