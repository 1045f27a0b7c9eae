import type { KvCommand, KvContext, KvMachine } from './machine.ts';

type Results = ReturnType<KvMachine['apply']>;

/** Applies commands to machines as a replica does: what is due by the log's time goes before each. */
export class TimedLog {
  /** What waits, by the ids of its timers. */
  readonly timers = new Map<number, { at: number; command: KvCommand }>();
  private made = 0;

  /** What `machine` answers to a command of that time, in milliseconds. */
  apply(machine: KvMachine, command: KvCommand, position: number, time: number): Results {
    for (let due = this.takeDue(time); due !== undefined; due = this.takeDue(time)) {
      const [timer, scheduled] = due;
      machine.apply(scheduled, this.context({ position, time, timer }));
    }
    return machine.apply(command, this.context({ position, time, timer: undefined }));
  }

  private takeDue(time: number): [number, KvCommand] | undefined {
    const due = [...this.timers].filter(([, { at }]) => at <= time);
    const [first] = due.sort(([a, one], [b, other]) => one.at - other.at || a - b);
    if (first === undefined) return undefined;
    this.timers.delete(first[0]);
    return [first[0], first[1].command];
  }

  private context(at: Pick<KvContext, 'position' | 'time' | 'timer'>): KvContext {
    return {
      ...at,
      schedule: (when, command) => {
        this.timers.set(++this.made, { at: when, command });
        return this.made;
      },
      cancel: (id) => this.timers.delete(id),
    };
  }
}
