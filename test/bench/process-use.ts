import { readdirSync, readFileSync } from 'node:fs';
import type { Row } from './measure.ts';

/** Memory of a process that is resident, in MiB. */
export function memoryMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024);
}

/** Until compilers and collectors have come to rest too. */
const SETTLE_MS = 30_000;

/** What processes use that have nothing to do. */
export async function idleRow(work: string, pids: readonly number[], seconds = 30): Promise<Row> {
  const used = (): { cpuMs: number; written: number } => {
    let cpuMs = 0;
    let written = 0;
    for (const pid of pids) {
      // To the nanosecond; the times in `stat` are guessed from samples.
      for (const thread of readdirSync(`/proc/${pid}/task`)) {
        const [ran] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ');
        cpuMs += Number(ran) / 1e6;
      }
      written += Number(/^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);
    }
    return { cpuMs, written };
  };
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const before = used();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const after = used();
  const share = (after.cpuMs - before.cpuMs) / (seconds * 10);
  return {
    work,
    rate: `${share.toFixed(2)} % of a core, ${after.written - before.written} bytes written`,
  };
}
