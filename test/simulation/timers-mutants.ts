import { LogContext } from '../../framework/smr/log-context.ts';
import { Ticker } from '../../framework/smr/ticker.ts';
import type { Timer } from '../../framework/smr/timer-queue.ts';
import { TimerTable } from '../../framework/smr/timer-table.ts';

/** Replaces a method until what is returned is called. */
function replace<T extends object, K extends keyof T>(of: T, name: K, by: T[K]): () => void {
  const before = of[name];
  of[name] = by;
  return () => {
    of[name] = before;
  };
}

const { encode, replace: replaced, takeDue } = TimerTable.prototype;

/** Ways to ring too early, twice, elsewhere or never: each breaks it for everybody until what it returns is called. */
export const TIMERS_MUTANTS: Readonly<Record<string, () => () => void>> = {
  'a timer is due by a clock of the replica': () => {
    const ahead = new WeakMap<TimerTable, number>();
    let tables = 0;
    return replace(TimerTable.prototype, 'takeDue', function (this: TimerTable, time) {
      if (!ahead.has(this)) ahead.set(this, (tables++ % 3) * 500);
      return takeDue.call(this, time + ahead.get(this)!);
    });
  },
  'timers are not in snapshots': () => replace(TimerTable.prototype, 'encode', () => []),
  'what has rung is in snapshots still': () => {
    const rung = new WeakMap<TimerTable, Timer>();
    const endTaking = replace(TimerTable.prototype, 'takeDue', function (this: TimerTable, time) {
      const due = takeDue.call(this, time);
      if (due !== undefined) rung.set(this, due);
      return due;
    });
    const endEncoding = replace(TimerTable.prototype, 'encode', function (this: TimerTable) {
      const last = rung.get(this);
      const encoded = encode.call(this);
      return last === undefined ? encoded : [...encoded, last];
    });
    return () => {
      endEncoding();
      endTaking();
    };
  },
  'ids begin anew after a snapshot': () =>
    replace(TimerTable.prototype, 'replace', function (this: TimerTable, fresh) {
      const ids = [...fresh.encode()].map(({ id }) => id);
      replaced.call(this, fresh, Math.max(0, ...ids));
    }),
  'nobody writes where nobody else does': () => replace(Ticker.prototype, 'start', () => {}),
  'all that a timer draws is drawn alike': () => {
    const { begin } = LogContext.prototype;
    return replace(LogContext.prototype, 'begin', function (this: LogContext<unknown>, place) {
      begin.call(this, { ...place, index: 0 });
    });
  },
};
