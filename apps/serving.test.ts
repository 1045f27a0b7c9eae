import { createServer } from 'node:http';
import { Subject } from 'rxjs';
import { listen, stopListening } from 'varlog/node';
import { failureOf } from './serving.ts';

describe('an address to serve at', () => {
  test('is told as it was bound, and taken once', async () => {
    const server = createServer();
    const address = await listen(server, '127.0.0.1:0');
    expect(address).toMatch(/^127\.0\.0\.1:\d{2,5}$/);
    await expect(listen(createServer(), address)).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' });
    await stopListening(server);
    const again = createServer();
    expect(await listen(again, address)).toBe(address);
    await stopListening(again);
  });

  test.each([
    '',
    'localhost',
    ':80',
    '127.0.0.1:http',
    '127.0.0.1:',
    '127.0.0.1:70000',
    '192.0.2.1:80',
  ])('"%s" is refused', async (address) => {
    await expect(listen(createServer(), address)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });
});

test('a replica that cannot go on says so', async () => {
  const status$ = new Subject<{ state: string; error?: unknown }>();
  const failed = failureOf({ status$: { subscribe: (next) => status$.subscribe(next) } });
  status$.next({ state: 'following' });
  status$.next({ state: 'failed', error: new Error('the disk is gone') });
  await expect(failed).rejects.toThrow('the disk is gone');
});
