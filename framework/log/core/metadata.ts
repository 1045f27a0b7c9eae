import type { Applied } from './command-definition.ts';
import { aboveSupported } from './feature-level.ts';
import { definitionOf, type MetadataCommand, NEWEST_FEATURE_LEVEL } from './metadata-command.ts';
import { MetadataState } from './metadata-state.ts';

/**
 * The cluster's metadata and the order of all topics: a deterministic state machine. Everything it
 * knows comes from its commands; it reads no clock and iterates in the order of ids.
 */
export class Metadata extends MetadataState {
  /** `supportedLevel`: the highest feature level that it follows. Default: all that this version knows. */
  constructor({ supportedLevel = NEWEST_FEATURE_LEVEL }: { supportedLevel?: number } = {}) {
    super(supportedLevel);
  }

  /**
   * Carries a command out. Throws `APPLY_FAILED` for one that this member does not know: to pass over it would
   * leave the member with another state than those that do.
   */
  apply(command: MetadataCommand): Applied {
    const definition = definitionOf(command);
    if (definition.level > this.supportedLevel) {
      throw aboveSupported(`"${command.kind}"`, definition.level, this.supportedLevel);
    }
    return definition.apply(this, command);
  }
}
