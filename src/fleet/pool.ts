/** What an operator asks of a template's warm slots over all nodes. */

export interface PoolSettings {
  /** Name of the template. */
  readonly template: string;
  /** Sandboxes of the template, claimed or warm, over all nodes: never fewer, never more made ahead. */
  readonly min: number;
  readonly max: number;
  /** Share of the pool that is warm and unclaimed, 0 to 1: fewer makes it grow, more lets it shrink. */
  readonly minAvailableRatio: number;
  readonly maxAvailableRatio: number;
  /** For warm slots over all nodes. Absent: what the nodes' own budgets allow. */
  readonly memoryBytes?: number;
  /** While one applies, its numbers replace those above. The last that applies wins. */
  readonly schedules: readonly PoolSchedule[];
}

export interface PoolSchedule {
  /** Five fields: minute, hour, day of month, month, day of week. */
  readonly cron: string;
  /** IANA name, e.g. Europe/Berlin. */
  readonly timeZone: string;
  /** How long it applies from each time that the expression matches. */
  readonly durationMs: number;
  readonly min?: number;
  readonly max?: number;
  readonly minAvailableRatio?: number;
  readonly maxAvailableRatio?: number;
}
