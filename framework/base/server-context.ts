import type { CallContext } from './network.ts';

/** Who makes a call. */
export type Caller = Pick<CallContext, 'peer' | 'cluster'>;

/** What a server gives a handler. Makes the signal only for a handler that asks for it: most unary ones do not. */
export class ServerContext implements CallContext {
  private readonly caller: Caller;
  private controller: AbortController | undefined;
  private over = false;

  constructor(caller: Caller) {
    this.caller = caller;
  }

  get signal(): AbortSignal {
    this.controller ??= new AbortController();
    if (this.over) this.controller.abort();
    return this.controller.signal;
  }

  get peer(): string {
    return this.caller.peer;
  }

  get cluster(): string | undefined {
    return this.caller.cluster;
  }

  end(): void {
    this.over = true;
    this.controller?.abort();
  }
}

/** Runs a handler at once, so that it can listen before the first message arrives. */
export function runHandler<T>(
  run: () => Promise<T>,
  done: (value: T) => void,
  failed: (error: unknown) => void,
): void {
  try {
    run().then(done, failed);
  } catch (error) {
    failed(error);
  }
}
