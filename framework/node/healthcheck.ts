/**
 * What a container's health check runs: ends with 0 when this machine's node is ready, with 1
 * otherwise. Knows the address from VARLOG_HTTP, as the node does.
 */
import { localAddress } from '../runtime/index.ts';

try {
  const address = localAddress(process.env['VARLOG_HTTP'] ?? '127.0.0.1:9180');
  const reply = await fetch(`http://${address}/readyz`);
  if (!reply.ok) process.stderr.write(await reply.text());
  process.exitCode = reply.ok ? 0 : 1;
} catch (error) {
  process.stderr.write(`${String(error)}\n`);
  process.exitCode = 1;
}
