import { parseEndpoints } from './endpoints.ts';

describe('endpoints', () => {
  test.each([
    ['a:1', ['a:1'], undefined],
    ['a:1, b:2', ['a:1', 'b:2'], undefined],
    [['a:1', 'b:2', 'a:1'], ['a:1', 'b:2'], undefined],
    ['[::1]:9092', ['[::1]:9092'], undefined],
    ['varlog://a:1,b:2', ['a:1', 'b:2'], undefined],
    ['varlog://a:1,b:2/', ['a:1', 'b:2'], undefined],
    ['varlog://a:1,b:2/7', ['a:1', 'b:2'], 7],
    ['varlog://a,[fd00::2]/7', ['a:9092', '[fd00::2]:9092'], 7],
    ['varlog://[::1]:1,[::ffff:10.0.0.1]:2/2147483647', undefined, 2_147_483_647],
    [['varlog://a:1/7', 'varlog://b:2/7', 'c:3'], ['a:1', 'b:2', 'c:3'], 7],
  ])('%p', (given, addresses, topicId) => {
    const found = parseEndpoints(given as string);
    if (addresses !== undefined) expect(found.addresses).toEqual(addresses);
    expect(found.topicId).toBe(topicId);
  });

  test.each([
    '::1:9092',
    '[::1]',
    '[::1]:0',
    '[::1]:65536',
    '[nonsense]:1',
    'a:1/7',
    'varlog://',
    'varlog:///7',
    'varlog://a:1/hello',
    'varlog://a:1/0',
    'varlog://a:1/2147483648',
    'varlog://a:1/7/8',
    'varlog://a:1/7?x=1',
    'varlog://user@a:1',
    'varlog://a:',
    'user@a:1',
    'a',
    'a:0',
    ['varlog://a:1/7', 'varlog://b:2/8'],
    [undefined],
  ])('%p is refused', (given) => {
    expect(() => parseEndpoints(given as string)).toThrow('INVALID_ARGUMENT');
  });
});
