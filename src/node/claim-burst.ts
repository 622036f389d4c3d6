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
/** The same where none is left to claim: only those who wait for their answers still are in the way. */
export const answeredMs = 30;
/** Claims that go on for longer than this are no burst: slots are made beside them. */
export const burstMs = 1_000;

export function withClaim(burst: Burst | undefined, now: number): Burst {
  const goesOn = burst !== undefined && now - burst.lastAt < quietMs;
  return { startedAt: goesOn ? burst.startedAt : now, lastAt: now };
}

/** How long the next slot has to wait. */
export function makeWayMs(burst: Burst | undefined, ready: number, now: number): number {
  if (burst === undefined) return 0;
  const quietAt = burst.lastAt + (ready === 0 ? answeredMs : quietMs);
  return Math.max(0, Math.min(quietAt, burst.startedAt + burstMs) - now);
}
