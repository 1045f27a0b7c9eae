/** A hold on a delivered value: as long as it is held, the value counts as being worked on. */
export interface InFlight extends InFlightSource {
  release(): void;
}

/** Something of which a hold can be taken. */
export interface InFlightSource {
  acquire(): InFlight;
}

/** What is being delivered right now: one place for all copies of this package that a program has loaded. */
const delivery: { current?: InFlightSource | undefined } = shared(Symbol.for('varlog.delivery'));

/**
 * Takes a hold on the value that is being delivered right now; `undefined` when its source lends nothing. It
 * goes by the call stack, not by the value: it does not matter how the value was mapped on the way.
 */
export function acquireCurrent(): InFlight | undefined {
  return delivery.current?.acquire();
}

/** Delivers a value in such a way that operators can take a hold on it. Deliveries nest. */
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
