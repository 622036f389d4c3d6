/** The one way to say that an image of a checkpoint cannot be used. */
import { DomainError } from "../lib/errors.js";

export function damaged(name: string, why: string, cause?: unknown): DomainError {
  return new DomainError("failed_precondition", `the checkpoint's ${name} is damaged: ${why}`, {
    hint: "restore another checkpoint",
    ...(cause === undefined ? {} : { cause }),
  });
}
