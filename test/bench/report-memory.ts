import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Loaded before the program of a process under test (`--import`): answers each message of its parent with what its memory
 * is made of once everything that nobody holds any more is collected. Buffers lie there for tens of MiB before V8
 * looks at them, which hides what grows.
 */
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

export function memoryAlive(): NodeJS.MemoryUsage {
  collect();
  return process.memoryUsage();
}

if (process.send !== undefined) {
  process.on('message', () => process.send?.({ memory: memoryAlive() }));
  // Hearing its parent is no reason to live.
  process.channel?.unref();
}
