import {
  checkLinearizable,
  type LinearizabilityVerdict,
  type Operation,
  type SequentialModel,
} from './linearizability.ts';

/** An operation on a map of registers. */
export type RegisterInput =
  | { readonly kind: 'get'; readonly key: string }
  | { readonly kind: 'delete'; readonly key: string }
  | { readonly kind: 'put'; readonly key: string; readonly value: string }
  | {
      readonly kind: 'cas';
      readonly key: string;
      /** Null for no value. */
      readonly from: string | null;
      readonly value: string;
    };

/**
 * `get`: the value, null for none. `put`: null. `delete`: whether there was a value, null where that was
 * not told. `cas`: whether it was done.
 */
export type RegisterOutput = string | null | boolean;

/**
 * Whether a history of a map with get, put, delete and compare-and-set is linearizable. It tells most
 * where every write has a value of its own.
 */
export function checkRegisters(
  history: readonly Operation<RegisterInput, RegisterOutput>[],
): LinearizabilityVerdict {
  return checkLinearizable(registerModel, withoutUnseen(history));
}

/** Each key on its own. A state is the value, or null. */
const registerModel: SequentialModel<string | null, RegisterInput, RegisterOutput> = {
  initial: null,
  partition: ({ key }) => key,
  key: (state) => (state === null ? '-' : `=${state}`),
  step: (state, input, output) => {
    switch (input.kind) {
      case 'get':
        return output === undefined || output === state ? state : undefined;
      case 'put':
        return input.value;
      case 'delete':
        return typeof output === 'boolean' && output !== (state !== null) ? undefined : null;
      case 'cas': {
        const done = input.from === state;
        if (output !== undefined && output !== done) return undefined;
        return done ? input.value : state;
      }
    }
  },
};

/**
 * The history with one value in place of all that only writes of unknown outcome have: no answer tells
 * them apart, and the search has only to count them. Gets of unknown outcome are left out: they say nothing.
 */
function withoutUnseen(
  history: readonly Operation<RegisterInput, RegisterOutput>[],
): Operation<RegisterInput, RegisterOutput>[] {
  const seen = new Set<unknown>();
  for (const { input, output } of history) {
    if (input.kind === 'cas') seen.add(input.from);
    if (input.kind === 'get') seen.add(output);
  }
  const values = history.map(({ input }) => ('value' in input ? input.value : undefined));
  const unseen = values.find((it) => it !== undefined && !seen.has(it));
  return history.flatMap((it) => {
    if (it.output !== undefined) return [it];
    const { input } = it;
    if (input.kind === 'get') return [];
    const isUnseen = 'value' in input && !seen.has(input.value);
    return isUnseen ? [{ ...it, input: { ...input, value: unseen! } }] : [it];
  });
}
