import { EnvelopeReader, encodeCheck, encodeUpgrade } from './envelope.ts';

const TAG = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);
const entry = (kind: number, tag: Uint8Array, more: number): Uint8Array =>
  new Uint8Array([kind, ...tag, ...new Uint8Array(more)]);

test.each([
  [4, 8],
  [255, 100],
  [2, 16],
  [6, 16],
  [7, 8],
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

test('an upgrade and a check are what their layouts say', () => {
  const float64 = (value: number): number[] => [
    ...new Uint8Array(new Float64Array([value]).buffer),
  ];
  const upgrade = encodeUpgrade(TAG, 2);
  expect([...upgrade]).toEqual([6, ...TAG, ...float64(2)]);
  const check = encodeCheck(TAG, { checked: 2 ** 40, writer: 9, hash: 'ä:1' });
  const hash = [0xc3, 0xa4, 0x3a, 0x31];
  expect([...check]).toEqual([7, ...TAG, ...float64(2 ** 40), ...float64(9), ...hash]);
  const reader = new EnvelopeReader(TAG);
  for (const rules of [0, 1.5, Number.NaN, 2 ** 32])
    expect(() => reader.read(encodeUpgrade(TAG, rules), 1)).toThrow(/FORMAT_UNKNOWN/);
  reader.read(upgrade, 1);
  expect(reader).toMatchObject({ kind: 'upgrade', rules: 2 });
  reader.read(check, 2);
  expect(reader).toMatchObject({ kind: 'check', checked: 2 ** 40, writer: 9, hash: 'ä:1' });
});
