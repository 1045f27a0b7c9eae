/** A member of a group, and where it listens. */
export interface Member {
  readonly id: number;
  readonly address: string;
}
