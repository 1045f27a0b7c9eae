import type { MachineFault } from './plan.ts';

/** What happens in a run, told for people: one line for each thing, with its time. Costs nothing where nobody reads it. */
export class Story {
  readonly lines: string[] = [];
  private readonly nowMs: (() => number) | undefined;

  /** Without a clock it keeps nothing. */
  constructor(nowMs?: () => number) {
    this.nowMs = nowMs;
  }

  tell(line: () => string): void {
    if (this.nowMs === undefined) return;
    this.lines.push(`${this.nowMs().toFixed(1).padStart(8)} ms  ${line()}`);
  }
}

export function describeFault(fault: MachineFault): string {
  const { replica } = fault;
  const time = 'forMs' in fault ? ` for ${fault.forMs.toFixed(1)} ms` : '';
  switch (fault.kind) {
    case 'crash':
      return `${replica} crashes${LOSSES[fault.loses]}, and is down${time}`;
    case 'pause':
      return `${replica} stands still${time}`;
    case 'partition':
      return `${replica} does not reach the log${time}`;
    case 'delay':
      return `messages of ${replica} take ${fault.latencyMs.toFixed(1)} ms longer${time}`;
    case 'append':
      return `the next append of ${replica} ${SUFFERS[fault.suffers]}`;
    case 'clock':
      return `the wall clock of ${replica} jumps by ${fault.byMs} ms`;
    case 'transaction':
      return `the next transaction of ${replica} fails`;
  }
}

const LOSSES = {
  nothing: '',
  unsynced: ', and loses what its disk has not synced',
  disk: ', and loses its disk',
};

const SUFFERS = {
  refused: 'is refused',
  unknownApplied: 'takes effect, and its acknowledgement is lost',
  unknownLate: 'comes late, after the one that follows it',
  unknownLost: 'is lost, and nobody is told',
};
