import { Closers } from './closers.ts';

it('ends the last one first, and each once', async () => {
  const ended: string[] = [];
  const closers = new Closers();
  closers.add(() => void ended.push('first'));
  closers.add(async () => void ended.push('second'));
  await Promise.all([closers.close(), closers.close()]);
  expect(ended).toEqual(['second', 'first']);
});

it('ends the others where one fails, and says what failed first', async () => {
  const ended: string[] = [];
  const closers = new Closers();
  closers.add(
    () => void ended.push('first'),
    () => Promise.reject(new Error('of the second')),
    () => {
      throw new Error('of the third');
    },
  );
  await expect(closers.close()).rejects.toThrow('of the third');
  expect(ended).toEqual(['first']);
});
