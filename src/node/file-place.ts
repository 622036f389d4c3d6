/** Where a file is, and whether it may be changed. */
import { posix } from "node:path";
import type { FilePath } from "../guest-client/file-requests.js";
import { DomainError } from "../lib/errors.js";
import { filePath } from "./file-info.js";
import type { FileRef } from "./files.js";
import type { Guests } from "./guests.js";
import { findLive, type LiveSandbox, type SandboxFinder } from "./running.js";

export interface FileDeps extends SandboxFinder {
  readonly guests: Pick<Guests, "call" | "stream">;
}

/** A path in a sandbox that lives. */
export interface FilePlace {
  readonly id: LiveSandbox["id"];
  readonly file: FilePath;
}

export function placeOf(deps: SandboxFinder, ref: FileRef, verb: string): FilePlace {
  const sandbox = findLive(deps, ref.sandbox, verb);
  return { id: sandbox.id, file: filePath(ref, sandbox) };
}

/** For what changes files: without its socket there a sandbox could not be reached any more. */
export function changeablePlaceOf(deps: SandboxFinder, ref: FileRef, verb: string): FilePlace {
  requireChangeable(ref.path);
  return placeOf(deps, ref, verb);
}

/** Throws `failed_precondition` for what the sandbox is reached through. */
export function requireChangeable(path: string): void {
  const plain = posix.normalize(path).replace(/\/+$/, "");
  if (plain !== "" && plain !== ownDirectory && !plain.startsWith(`${ownDirectory}/`)) return;
  const what = plain === "" ? "the root directory" : `${ownDirectory}, through which the sandbox is reached,`;
  throw new DomainError("failed_precondition", `cannot change ${path}: ${what} stays as it is`);
}

const ownDirectory = "/.ramet";
