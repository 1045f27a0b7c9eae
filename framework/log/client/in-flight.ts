/** A delivered value that is being worked on: it counts as in flight until it is released. */
export interface InFlight extends InFlightSource {
  release(): void;
}

/** Whose deliveries can be kept in flight. */
export interface InFlightSource {
  acquire(): InFlight;
}

/** What is being delivered right now: one place for all copies of this package that a program has loaded. */
const delivery: { current?: InFlightSource | undefined } = shared(Symbol.for('varlog.delivery'));

/**
 * Keeps the value in flight that is being delivered right now; `undefined` when its source does not count them. It
 * goes by the call stack, not by the value: it does not matter how the value was mapped on the way.
 */
export function acquireCurrent(): InFlight | undefined {
  return delivery.current?.acquire();
}

/** Delivers a value in such a way that operators can keep it in flight. Deliveries nest. */
export function deliverTracked(source: InFlightSource | undefined, deliver: () => void): void {
  const before = delivery.current;
  delivery.current = source;
  try {
    deliver();
  } finally {
    delivery.current = before;
  }
}

function shared(key: symbol): object {
  const global = globalThis as Record<symbol, object | undefined>;
  const made = global[key] ?? {};
  global[key] = made;
  return made;
}
