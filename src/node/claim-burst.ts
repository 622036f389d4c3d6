/**
 * When the making of warm slots makes way for claims: a restore takes both the processors and the disk, and those who
 * claim wait for milliseconds only. Pure; times are a monotonic clock's, in milliseconds.
 */

/** Claims that come soon after one another. */
export interface Burst {
  readonly startedAt: number;
  readonly lastAt: number;
}

/** Nobody has claimed for so long: it is over. */
export const quietMs = 100;
/** Claims that go on for longer than this are no burst: slots are made beside them. */
export const burstMs = 1_000;

export function withClaim(burst: Burst | undefined, now: number): Burst {
  const goesOn = burst !== undefined && now - burst.lastAt < quietMs;
  return { startedAt: goesOn ? burst.startedAt : now, lastAt: now };
}

/** How long the next slot has to wait. Where none is ready, there is nobody to be in the way of. */
export function makeWayMs(burst: Burst | undefined, ready: number, now: number): number {
  if (burst === undefined || ready === 0) return 0;
  return Math.max(0, Math.min(burst.lastAt + quietMs, burst.startedAt + burstMs) - now);
}
