/** Time is handed in wherever a decision depends on it; only the composition roots name the real clock. */
export type Clock = () => Date;

export const systemClock: Clock = () => new Date();

/** Measures in whole and broken milliseconds; unaffected by changes of the wall clock. */
export function startStopwatch(): () => number {
  const started = performance.now();
  return () => performance.now() - started;
}
