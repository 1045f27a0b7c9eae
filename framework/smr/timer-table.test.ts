import fc from 'fast-check';
import type { Timer } from './timer-queue.ts';
import { TimerTable } from './timer-table.ts';

type Step =
  | {
      readonly kind: 'schedule';
      readonly at: number;
      readonly bytes: number;
      readonly undone: boolean;
    }
  | { readonly kind: 'cancel'; readonly id: number; readonly undone: boolean }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'restore' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('schedule' as const),
      at: fc.nat(100),
      bytes: fc.nat(200),
      undone: fc.boolean(),
    }),
  },
  fc.record({ kind: fc.constant('cancel' as const), id: fc.nat(60), undone: fc.boolean() }),
  fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(20) }),
  fc.record({ kind: fc.constant('restore' as const) }),
);

const BYTES_MAX = 3_000;
const costOf = ({ command }: Timer): number => command.length + 128;

test('timers are due by time and then by id, each once, whatever is cancelled, undone and restored', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const limits = { bytesMax: BYTES_MAX };
      const touched = new Set<number>();
      let table = new TimerTable(limits, (id) => touched.add(id));
      let model: Timer[] = [];
      let made = 0;
      let time = 0;
      for (const it of steps) {
        touched.clear();
        const before = model;
        if (it.kind === 'schedule') {
          const command = new Uint8Array(it.bytes);
          const used = model.reduce((sum, timer) => sum + costOf(timer), 0);
          const timer = { id: made + 1, at: time + it.at, command };
          const fits = used + costOf(timer) <= BYTES_MAX;
          expect(table.schedule(timer.at, command)).toBe(fits ? timer.id : undefined);
          if (fits && it.undone) table.unschedule(timer.id);
          if (fits && !it.undone) {
            made++;
            model = [...model, timer];
          }
        } else if (it.kind === 'cancel') {
          const timer = table.cancel(it.id);
          expect(timer).toEqual(model.find(({ id }) => id === it.id));
          if (timer !== undefined && it.undone) table.put(timer);
          else model = model.filter(({ id }) => id !== it.id);
        } else if (it.kind === 'pass') {
          time += it.ms;
          const due = model.filter(({ at }) => at <= time);
          due.sort((one, other) => one.at - other.at || one.id - other.id);
          for (const timer of due) expect(table.takeDue(time)).toEqual(timer);
          expect(table.takeDue(time)).toBeUndefined();
          model = model.filter((timer) => !due.includes(timer));
        } else {
          const stored = [...table.encode()];
          table = new TimerTable(limits, (id) => touched.add(id));
          const restored = table.fresh();
          for (const one of stored) restored.restore(one);
          table.replace(restored, made);
        }
        expect([...table.encode()]).toEqual(model);
        expect(table.made).toBe(made);
        const earliest = model.length === 0 ? undefined : Math.min(...model.map(({ at }) => at));
        expect(table.earliest).toBe(earliest);
        for (const timer of [...before, ...model]) {
          if (before.includes(timer) !== model.includes(timer)) expect(touched).toContain(timer.id);
          expect(table.encodeOne(timer.id)).toEqual(model.find(({ id }) => id === timer.id));
        }
      }
    }),
  );
});
