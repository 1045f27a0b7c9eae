import { RaiseFeatureLevel as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, DONE } from '../command-definition.ts';
import { aboveSupported } from '../feature-level.ts';

/** All members support a feature level: commands that came with it may be proposed from now on. */
export interface RaiseFeatureLevel {
  readonly kind: 'raiseFeatureLevel';
  readonly to: number;
}

export const raiseFeatureLevel: CommandDefinition<RaiseFeatureLevel, Message> = {
  kind: 'raiseFeatureLevel',
  number: 3,
  level: 3,
  senders: ['leader'],
  describe: ({ to }) => `raise the feature level to ${to}`,
  message: Message,
  toMessage: ({ to }) => ({ level: to }),
  fromMessage: ({ level }) => ({ kind: 'raiseFeatureLevel', to: level }),
  apply(state, { to }) {
    if (to > state.supportedLevel) {
      throw aboveSupported('what the cluster has agreed on', to, state.supportedLevel);
    }
    state.featureLevel = Math.max(state.featureLevel, to);
    return DONE;
  },
};
