import { createServer, type IncomingMessage, request } from 'node:http';
import { listen, stopListening } from 'varlog/node';
import { bytesOf } from './http.ts';

test('a body that was cut off before anybody asked for it is none, and nobody waits for it', async () => {
  let take = (_: IncomingMessage): void => {};
  const come = new Promise<IncomingMessage>((resolve) => {
    take = resolve;
  });
  const server = createServer((incoming) => take(incoming));
  const [host, port] = (await listen(server, '127.0.0.1:0')).split(':');
  const sent = request({ host, port, method: 'PUT', headers: { 'content-length': 10 } });
  sent.on('error', () => {});
  sent.write('half');
  const incoming = await come;
  incoming.on('error', () => {});
  sent.destroy();
  await new Promise((resolve) => incoming.once('close', resolve));
  await expect(bytesOf(incoming, 100)).rejects.toMatchObject({ code: 'CANCELLED' });
  await stopListening(server);
});
