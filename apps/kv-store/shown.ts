const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A value as JSON has it: text where it is text in UTF-8, otherwise in base64. */
export function shown(value: Uint8Array): { value: string } | { base64: string } {
  try {
    return { value: text.decode(value) };
  } catch {
    return { base64: Buffer.from(value).toString('base64') };
  }
}
