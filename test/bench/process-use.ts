import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Row } from './measure.ts';

/** Memory of a process that is resident, in MiB. */
export function memoryMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024);
}

/** Descriptors that a process has open. */
export function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** The files under a folder and their bytes on disk; what goes meanwhile is not counted. */
export function filesUnder(folder: string): { files: number; bytes: number } {
  let files = 0;
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const found = statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false });
    if (found === undefined) continue;
    files++;
    bytes += found.blocks * 512;
  }
  return { files, bytes };
}

/** Until compilers and collectors have come to rest too. */
const SETTLE_MS = 30_000;

/** Milliseconds of CPU that processes have used so far, to the nanosecond: the times in `stat` are guessed from samples. */
export function cpuMs(pids: readonly number[]): number {
  let used = 0;
  for (const pid of pids) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const [ran] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ');
      used += Number(ran) / 1e6;
    }
  }
  return used;
}

/** What processes use that have nothing to do. */
export async function idleRow(work: string, pids: readonly number[], seconds = 30): Promise<Row> {
  const used = (): { ms: number; written: number } => {
    let written = 0;
    for (const pid of pids) {
      written += Number(/^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);
    }
    return { ms: cpuMs(pids), written };
  };
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const before = used();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const after = used();
  const share = (after.ms - before.ms) / (seconds * 10);
  return {
    work,
    rate: `${share.toFixed(2)} % of a core, ${after.written - before.written} bytes written`,
  };
}
