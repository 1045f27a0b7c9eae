import { type CallContext, type Handler, VarlogError } from '../base/index.ts';

/**
 * The same handlers, but a call that names another cluster than `own` is refused before anything else is looked
 * at: with `CLUSTER_MISMATCH`, or with `UNAVAILABLE` while it is not known yet which cluster this is. Calls that
 * name none, as those of the published interface, pass. `who` answers, for the message.
 */
export function ofCluster(
  handlers: readonly Handler[],
  own: () => string | undefined,
  who: string,
  open?: Handler['method'],
): Handler[] {
  return handlers.map(({ method, run }) => {
    const guarded = async (...given: unknown[]): Promise<unknown> => {
      // Whatever a method is given, the context comes last.
      const { cluster } = given.at(-1) as CallContext;
      const found = own();
      const isOpen = found === undefined && method === open;
      if (cluster !== undefined && cluster !== found && !isOpen) throw refusal(cluster, found, who);
      return (run as (...all: unknown[]) => unknown)(...given);
    };
    return { method, run: guarded } as Handler;
  });
}

function refusal(wanted: string, found: string | undefined, who: string): VarlogError {
  if (found === undefined) {
    return new VarlogError('UNAVAILABLE', {
      what: `${who} does not know yet which cluster it is part of`,
      next: 'try again soon',
      outcome: 'notAppended',
      details: { expected: wanted },
    });
  }
  return new VarlogError('CLUSTER_MISMATCH', {
    what: `${who} is of cluster ${found}, and not of ${wanted}`,
    because: 'the cluster was made anew, or an address is of another cluster now',
    next: 'check the addresses; what was derived from the other cluster holds for that one only',
    outcome: 'notAppended',
    details: { expected: wanted, found },
  });
}
