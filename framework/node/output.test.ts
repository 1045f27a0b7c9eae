import { jsonOf, makeOutput } from './output.ts';

test('values of all kinds are shown on one line', () => {
  expect(jsonOf({ value: Buffer.from('blue'), raw: Uint8Array.of(0xff, 1) })).toBe(
    '{"value":"blue","raw":"base64:/wE="}',
  );
  expect(jsonOf([2n ** 70n, new Map([['a', 1]]), new Set([1, 2])])).toBe(
    '["1180591620717411303424",[["a",1]],[1,2]]',
  );
  expect(jsonOf(Buffer.from('alone'))).toBe('"alone"');
  expect(jsonOf(undefined)).toBe('');
});

test('a result for programs may hold what JSON has no word for', () => {
  const lines: unknown[] = [];
  const output = makeOutput(true, { out: (it) => lines.push(it), err: () => {} });
  output.result({ sum: 1n }, 'for people');
  expect(lines).toEqual(['{"sum":"1"}\n']);
});
