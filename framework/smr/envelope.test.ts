import { EnvelopeReader } from './envelope.ts';

const TAG = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);
const entry = (kind: number, tag: Uint8Array, more: number): Uint8Array =>
  new Uint8Array([kind, ...tag, ...new Uint8Array(more)]);

test.each([
  [4, 8],
  [255, 100],
  [2, 16],
])(
  'an entry of kind %i with %i more bytes is of a later version, if it is of this machine',
  (kind, more) => {
    const reader = new EnvelopeReader(TAG);
    expect(() => reader.read(entry(kind, TAG, more), 7)).toThrow(
      new RegExp(`FORMAT_UNKNOWN.*position 7.*kind ${kind} .*upgrade`, 's'),
    );
    reader.read(entry(kind, TAG.toReversed(), more), 7);
    expect(reader.kind).toBe('foreign');
  },
);
