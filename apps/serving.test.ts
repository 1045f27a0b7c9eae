import { createServer } from 'node:http';
import { Subject } from 'rxjs';
import { listen, stopListening } from 'varlog/node';
import { failureOf, serveUntilStopped } from './serving.ts';

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

describe('a process that serves', () => {
  const never = new Promise<never>(() => {});
  const { connected, send } = process;
  // It would take leave of whoever runs the tests.
  beforeEach(() => void Object.assign(process, { connected: false, send: undefined }));
  afterEach(() => void Object.assign(process, { connected, send }));

  test.each(['SIGINT', 'SIGTERM'])('is told by %s, and closes its replica then', async (signal) => {
    let closed = false;
    const close = async (): Promise<void> => {
      closed = true;
    };
    const served = serveUntilStopped(async () => ({ failed: never, close }));
    await Promise.resolve();
    expect(closed).toBe(false);
    process.emit(signal as NodeJS.Signals);
    await served;
    expect(closed).toBe(true);
  });

  test('ends with the failure of its replica, which it closes all the same', async () => {
    let closed = false;
    const close = async (): Promise<void> => {
      closed = true;
    };
    const failed = Promise.reject(new Error('the disk is gone'));
    await expect(serveUntilStopped(async () => ({ failed, close }))).rejects.toThrow(
      'the disk is gone',
    );
    expect(closed).toBe(true);
  });
});
