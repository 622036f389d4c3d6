/** Which shim is filled next, and whether there are too few places or too many. Pure. */
export interface ShimPlan {
  /** The fullest that has a place; undefined when all are full. */
  readonly fill: string | undefined;
  /** Fewer than half a shim's places are free. */
  readonly start: boolean;
  /** Empty ones, as long as a whole shim's places stay free without them. */
  readonly end: readonly string[];
}

export function planShims(shims: ReadonlyMap<string, ReadonlySet<string>>, places: number): ShimPlan {
  const room = [...shims].map(([id, members]) => ({ id, free: places - members.size }));
  const [fullest] = room.filter(({ free }) => free > 0).sort((a, b) => a.free - b.free);
  const free = room.reduce((sum, shim) => sum + shim.free, 0);
  const empty = room.filter((shim) => shim.free === places);
  const spare = Math.max(0, Math.floor(free / places) - 1);
  return { fill: fullest?.id, start: free < places / 2, end: empty.slice(0, spare).map(({ id }) => id) };
}
