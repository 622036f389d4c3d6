import { expect, it } from "vitest";
import { answeredMs, type Burst, burstMs, makeWayMs, quietMs, withClaim } from "./claim-burst.js";

const claimed = (...at: readonly number[]) =>
  at.reduce<Burst | undefined>((burst, now) => withClaim(burst, now), undefined);
const often = Array.from({ length: 40 }, (_, n) => n * (quietMs / 2));

it.each<{ what: string; burst: Burst | undefined; ready: number; now: number; waits: number }>([
  { what: "nobody claims", burst: undefined, ready: 5, now: 0, waits: 0 },
  { what: "somebody just has", burst: claimed(0), ready: 5, now: 0, waits: quietMs },
  { what: "others follow", burst: claimed(0, 80), ready: 5, now: 100, waits: quietMs - 20 },
  { what: "it has been quiet since", burst: claimed(0, 80), ready: 5, now: 80 + quietMs, waits: 0 },
  { what: "the last slot was claimed", burst: claimed(0, 80), ready: 0, now: 80, waits: answeredMs },
  { what: "who claimed the last has it", burst: claimed(0, 80), ready: 0, now: 80 + answeredMs, waits: 0 },
  { what: "it goes on and on", burst: claimed(...often), ready: 5, now: 40 * (quietMs / 2), waits: 0 },
  { what: "another burst began", burst: claimed(0, burstMs * 3), ready: 5, now: burstMs * 3, waits: quietMs },
  { what: "it nears its bound", burst: claimed(...often.slice(0, 20)), ready: 5, now: burstMs - 5, waits: 5 },
])("the next slot waits $waits ms where $what", ({ burst, ready, now, waits }) => {
  expect(makeWayMs(burst, ready, now)).toBe(waits);
});
