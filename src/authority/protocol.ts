/** The version of proto/ramet/v1/membership.proto that this software speaks. */
import { DomainError } from "../lib/errors.js";

export const protocol = 1;

/** Throws `failed_precondition` in words for people who upgrade. */
export function checkProtocol(whose: string, theirs: number): void {
  if (theirs === protocol) return;
  throw new DomainError(
    "failed_precondition",
    `${whose} speaks version ${theirs} of the membership protocol, this is version ${protocol}`,
    { hint: "upgrade the older of the two" },
  );
}
