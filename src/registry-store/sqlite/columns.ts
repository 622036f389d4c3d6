/** What columns of several tables hold. */
import { z } from "zod";
import type { NodeId } from "../../fleet/node.js";
import type { TeamId } from "../../fleet/team.js";
import { DomainError, isDomainError } from "../../lib/errors.js";
import { guarded } from "../../sqlite/errors.js";

/** Whole milliseconds since 1970. */
export const timeColumn = z.int().transform((ms) => new Date(ms));
export const flagColumn = z.int().transform(Boolean);
export const teamColumn = z.string().transform((id) => id as TeamId);
export const nodeColumn = z.string().transform((id) => id as NodeId);

/** Before and after all times that a Date can hold. */
export const timeMin = -8.64e15;
export const timeMax = 8.64e15;

/** Runs an insert; a reference to what is not there is `not_found`. */
export function inserting(what: string, references: string, insert: () => unknown): void {
  try {
    guarded(what, insert);
  } catch (thrown) {
    if (!isDomainError(thrown, "failed_precondition")) throw thrown;
    throw new DomainError("not_found", `${what}: there is no such ${references}`, { cause: thrown });
  }
}

/** What was found, or `not_found`. */
export function present<T>(what: string, found: T | undefined): T {
  if (found === undefined) throw new DomainError("not_found", `there is no ${what}`);
  return found;
}

/** Bounds what one page may hold. */
export function checkLimit(limit: number): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= 1000) return limit;
  throw new DomainError("invalid_argument", `a page of ${limit} is not possible`, { hint: "1 to 1,000" });
}
