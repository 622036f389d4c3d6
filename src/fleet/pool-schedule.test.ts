import { describe, expect, it } from "vitest";
import { isDomainError } from "../lib/errors.js";
import type { PoolSchedule, PoolSettings } from "./pool.js";
import { checkPool, numbersAt } from "./pool-schedule.js";

const hour = 3_600_000;
const pool: PoolSettings = {
  ...{ template: "python", min: 1, max: 10, minAvailableRatio: 0.1, maxAvailableRatio: 0.5, schedules: [] },
};
const schedule = (over: Partial<PoolSchedule> = {}): PoolSchedule => ({
  ...{ cron: "0 8 * * 1-5", timeZone: "Europe/Berlin", durationMs: 10 * hour, min: 5 },
  ...over,
});
const minAt = (time: string, ...schedules: PoolSchedule[]) =>
  numbersAt({ ...pool, schedules }, new Date(time)).numbers.min;

describe("a schedule", () => {
  it.each([
    // Monday, in winter: 8:00 is 7:00Z.
    ["2026-01-05T06:59:59.999Z", 1],
    ["2026-01-05T07:00:00.000Z", 5],
    ["2026-01-05T07:00:00.001Z", 5],
    ["2026-01-05T16:59:59.999Z", 5],
    ["2026-01-05T17:00:00.000Z", 1],
    // In summer it is 6:00Z.
    ["2026-07-06T06:00:00.000Z", 5],
    ["2026-07-06T16:00:00.000Z", 1],
    // Sunday.
    ["2026-01-04T09:00:00.000Z", 1],
  ])("applies from its time on for as long as it says, in its time zone: %s", (time, min) => {
    expect(minAt(time, schedule())).toBe(min);
  });

  it("goes over midnight, and over a time that the clocks leave out", () => {
    expect(minAt("2026-01-06T03:00:00Z", schedule({ cron: "0 22 * * *" }))).toBe(5);
    expect(minAt("2026-03-29T01:30:00Z", schedule({ cron: "30 2 * * *", durationMs: hour }))).toBe(5);
  });

  it("replaces what it names and leaves the rest; of two that apply, the last", () => {
    const at = new Date("2026-01-05T12:00:00Z");
    const [first, last] = [schedule(), schedule({ min: 7, maxAvailableRatio: 0.9 })];
    expect(numbersAt({ ...pool, schedules: [first, last] }, at)).toMatchObject({
      numbers: { min: 7, max: 10, minAvailableRatio: 0.1, maxAvailableRatio: 0.9 },
      schedule: last,
    });
    expect(numbersAt({ ...pool, schedules: [last, first] }, at)).toMatchObject({ schedule: first });
    expect(numbersAt(pool, at)).toEqual({ numbers: pool });
  });
});

describe("checkPool", () => {
  it("takes what makes sense", () => {
    checkPool({
      ...pool,
      memoryBytes: 0,
      schedules: [
        schedule(),
        schedule({ cron: "*/5 * * * *" }),
        schedule({ cron: "0 8 29 2 *", timeZone: "UTC" }),
      ],
    });
  });

  it.each<[string, Partial<PoolSettings>]>([
    ["min -1", { min: -1 }],
    ["min 1.5", { min: 1.5 }],
    ["min 11 and max 10", { min: 11 }],
    ["max 1000001", { max: 1_000_001 }],
    ["ratios 0.6 and 0.5", { minAvailableRatio: 0.6 }],
    ["ratios 0.1 and 1.1", { maxAvailableRatio: 1.1 }],
    ["ratios NaN and 0.5", { minAvailableRatio: Number.NaN }],
    ["memory of -1 bytes", { memoryBytes: -1 }],
    ["33 schedules", { schedules: Array.from({ length: 33 }, () => schedule()) }],
    ["'0 25 * * *'", { schedules: [schedule({ cron: "0 25 * * *" })] }],
    ["'0 0 8 * * 1'", { schedules: [schedule({ cron: "0 0 8 * * 1" })] }],
    [
      "'1999-12-01T00:00:00' is wrong: it has 1 fields",
      { schedules: [schedule({ cron: "1999-12-01T00:00:00" })] },
    ],
    ["'@daily' is wrong: it has 1 fields", { schedules: [schedule({ cron: "@daily" })] }],
    ["'' is wrong: it has 0 fields", { schedules: [schedule({ cron: "" })] }],
    ["'Mars/Olympus'", { schedules: [schedule({ timeZone: "Mars/Olympus" })] }],
    ["'0 8 31 2 *' never comes", { schedules: [schedule({ cron: "0 8 31 2 *" })] }],
    ["lasts 59999 ms", { schedules: [schedule({ durationMs: 59_999 })] }],
    ["min 20 and max 10", { schedules: [schedule({ min: 20 })] }],
  ])("refuses %s, in words", (what, over) => {
    const refusal = (() => {
      try {
        checkPool({ ...pool, ...over });
        return undefined;
      } catch (err) {
        return err;
      }
    })();
    expect(isDomainError(refusal, "invalid_argument") && refusal.message).toContain(what);
  });
});
