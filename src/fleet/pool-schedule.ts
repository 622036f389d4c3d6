/** Which numbers of a pool apply at a time. Pure: the cron expressions are only ever asked about a time given. */
import { Cron } from "croner";
import { DomainError } from "../lib/errors.js";
import type { PoolSchedule, PoolSettings } from "./pool.js";

export type PoolNumbers = Pick<PoolSettings, "min" | "max" | "minAvailableRatio" | "maxAvailableRatio">;

export interface NumbersAt {
  readonly numbers: PoolNumbers;
  /** Whose they are, where a schedule applies. */
  readonly schedule?: PoolSchedule;
}

export const schedulesMax = 32;
export const poolMax = 1_000_000;
const durationMs = { min: 60_000, max: 7 * 24 * 3_600_000 } as const;

export function numbersAt(settings: PoolSettings, now: Date): NumbersAt {
  const schedule = settings.schedules.findLast((each) => applies(each, now));
  return schedule === undefined
    ? { numbers: settings }
    : { numbers: scheduledNumbers(settings, schedule), schedule };
}

function scheduledNumbers(settings: PoolNumbers, { cron, timeZone, durationMs: _, ...own }: PoolSchedule) {
  return { ...settings, ...own };
}

function applies(schedule: PoolSchedule, now: Date): boolean {
  // A run at the very moment at which its time would be over does not apply any more, and nextRun leaves it out.
  const run = cronOf(schedule).nextRun(new Date(now.getTime() - schedule.durationMs));
  return run !== null && run.getTime() <= now.getTime();
}

const cronOf = ({ cron, timeZone }: PoolSchedule) =>
  new Cron(cron, { mode: "5-part", timezone: timeZone, paused: true });

/** `invalid_argument`, naming the number that is wrong. */
export function checkPool(settings: PoolSettings): void {
  checkNumbers("the pool", settings);
  const { memoryBytes, schedules } = settings;
  if (memoryBytes !== undefined && !(Number.isSafeInteger(memoryBytes) && memoryBytes >= 0))
    throw wrong(`the pool's memory of ${memoryBytes} bytes is no whole number from 0 on`);
  if (schedules.length > schedulesMax)
    throw wrong(`${schedules.length} schedules are more than ${schedulesMax}`);
  for (const schedule of schedules) checkSchedule(settings, schedule);
}

function checkSchedule(settings: PoolSettings, schedule: PoolSchedule): void {
  const name = `the schedule '${schedule.cron}'`;
  // The library looks at it no earlier than when it is needed, and says much.
  if (!isTimeZone(schedule.timeZone))
    throw new DomainError(
      "invalid_argument",
      `${name} has the time zone '${schedule.timeZone}', which is unknown`,
      {
        hint: "its name is one as Europe/Berlin or UTC",
      },
    );
  if (firstRun(name, schedule) === null) throw wrong(`${name} never comes: no month has such a day`);
  if (!(schedule.durationMs >= durationMs.min && schedule.durationMs <= durationMs.max))
    throw wrong(`${name} lasts ${schedule.durationMs} ms, not one minute to seven days`);
  checkNumbers(name, scheduledNumbers(settings, schedule));
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

function firstRun(name: string, schedule: PoolSchedule): Date | null {
  const refused = (why: unknown, cause?: unknown) =>
    new DomainError("invalid_argument", `${name} is wrong: ${why}`, {
      cause,
      hint: "five fields: minute, hour, day of month, month, day of week",
    });
  // The library also takes one date, which may be over for good, and names such as @daily.
  const fields = schedule.cron.split(/\s+/).filter((field) => field !== "").length;
  if (fields !== 5) throw refused(`it has ${fields} fields and not five`);
  try {
    return cronOf(schedule).nextRun(new Date(0));
  } catch (err) {
    throw refused(err instanceof Error ? err.message : err, err);
  }
}

function checkNumbers(name: string, numbers: PoolNumbers): void {
  const { min, max, minAvailableRatio: low, maxAvailableRatio: high } = numbers;
  if (!(Number.isInteger(min) && Number.isInteger(max) && min >= 0 && min <= max && max <= poolMax))
    throw wrong(`${name} has min ${min} and max ${max}; wanted: 0 <= min <= max <= ${poolMax}`);
  if (!(low >= 0 && low <= high && high <= 1))
    throw wrong(
      `${name} has ratios ${low} and ${high}; wanted: 0 <= minAvailableRatio <= maxAvailableRatio <= 1`,
    );
}

const wrong = (message: string) => new DomainError("invalid_argument", message);
