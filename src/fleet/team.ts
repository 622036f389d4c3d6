/** Who owns sandboxes, and how many. */
declare const brand: unique symbol;
export type TeamId = string & { readonly [brand]: "team" };

export interface Team {
  readonly id: TeamId;
  /** Unique; `^[a-z0-9][a-z0-9._-]{0,62}$`. */
  readonly name: string;
  readonly limits: TeamLimits;
  readonly createdAt: Date;
}

/** Absent: no limit. What is asked for beyond one is `resource_exhausted`, with the numbers. */
export interface TeamLimits {
  /** Running at once, resuming and pausing ones included. */
  readonly sandboxes?: number;
  /** Of running sandboxes together. */
  readonly cpus?: number;
  readonly memoryBytes?: number;
  /** Clones being made at once. */
  readonly forksInFlight?: number;
}

/** A key as it is kept: never the key itself. */
export interface ApiKey {
  readonly id: string;
  readonly team: TeamId;
  readonly name: string;
  /** SHA-256 of the whole key, lower-case hexadecimal: keys are random, so that no slower hash is needed. */
  readonly hash: string;
  /** Its first characters and last four, for people to tell keys apart. */
  readonly mask: string;
  readonly createdAt: Date;
  readonly revokedAt?: Date;
}
