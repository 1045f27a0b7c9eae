import type { VarlogError } from '../../base/index.ts';

/**
 * What a subscription is doing. It is always in one of these, and says so when that changes:
 *
 * ```
 *   connecting ─▶ catchingUp ─▶ live          closed: by its user, at its end,
 *                     ▲          │            or for good with an error
 *                     └─ reconnecting ◀┘
 * ```
 */
export type SubscriptionStatus =
  | { readonly state: 'connecting' }
  | {
      readonly state: 'catchingUp';
      /** GLSN delivered last; 0 for none. */
      readonly position: number;
      /** It is live once it has delivered this GLSN. */
      readonly tail: number;
    }
  | { readonly state: 'live'; readonly position: number }
  | {
      /** Some log stream has no connection; it is tried again until it succeeds. */
      readonly state: 'reconnecting';
      /** Failures in a row. */
      readonly attempt: number;
      readonly cause: unknown;
    }
  | {
      readonly state: 'closed';
      /** Why, when it was neither its user nor its end. */
      readonly error?: VarlogError | unknown;
    };
