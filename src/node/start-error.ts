/** What runc says when it cannot put a sandbox together, in words about the image. Pure. */
import { DomainError, toDomainError } from "../lib/errors.js";

/** runc 1.3: `error mounting "proc" to rootfs at "/proc": mkdirat …/rootfs/proc: permission denied`. */
const mounting = /error mounting "[^"]*" to rootfs at "([^"]+)": (.*)$/s;
/** Of the reasons, those that an image can be: a file, or a link that leads out or in circles, in a directory's place. */
const notADirectory = /not a directory|ordinary directory|too many levels|file exists|unsafe|outside/i;

/** `failed_precondition` when the image is to blame; else the error as it is. */
export function startError(image: string, thrown: unknown): DomainError {
  const error = toDomainError(thrown);
  const [, place = "", reason = ""] = mounting.exec(error.message) ?? [];
  if (!notADirectory.test(reason)) return error;
  return new DomainError(
    "failed_precondition",
    `cannot start from image ${image}: its ${place} is no directory`,
    {
      hint: "a sandbox needs directories, or nothing, at /proc, /dev, /sys and /.ramet",
      cause: thrown,
    },
  );
}
