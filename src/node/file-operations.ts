/** Files of a sandbox, through its guest and with the rights of one of its users. */
import { posix } from "node:path";
import type { FilePath } from "../guest-client/file-requests.js";
import { DomainError } from "../lib/errors.js";
import { fileInfo, filePath } from "./file-info.js";
import { listFiles } from "./file-list.js";
import { readFile, writeFile } from "./file-transfer.js";
import { watchFiles } from "./file-watch.js";
import type { FileRef, Files } from "./files.js";
import type { Guest, Guests } from "./guests.js";
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

function requireChangeable(path: string): void {
  const plain = posix.normalize(path).replace(/\/+$/, "");
  if (plain !== "" && plain !== ownDirectory && !plain.startsWith(`${ownDirectory}/`)) return;
  const what = plain === "" ? "the root directory" : `${ownDirectory}, through which the sandbox is reached,`;
  throw new DomainError("failed_precondition", `cannot change ${path}: ${what} stays as it is`);
}

const ownDirectory = "/.ramet";

export function openFiles(deps: FileDeps): Files {
  return {
    ...nameOperations(deps),
    async *list(ref, { depth }, signal) {
      yield* listFiles(deps, placeOf(deps, ref, "list files in"), depth, signal);
    },
    async read(ref, range, signal) {
      return readFile(deps, placeOf(deps, ref, "read a file in"), range, signal);
    },
    async write(ref, options, data, signal) {
      return writeFile(deps, changeablePlaceOf(deps, ref, "write a file in"), { ...options, data }, signal);
    },
    async *watch(ref, { recursive }, signal) {
      yield* watchFiles(deps, placeOf(deps, ref, "watch files in"), recursive, signal);
    },
  };
}

const looking = "look at a file in";

function nameOperations(deps: FileDeps): Pick<Files, "stat" | "makeDir" | "rename" | "remove" | "symlink"> {
  async function act<T>(
    ref: FileRef,
    verb: string,
    operation: (files: Guest["files"], file: FilePath, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const { id, file } = (verb === looking ? placeOf : changeablePlaceOf)(deps, ref, verb);
    return deps.guests.call(id, (guest, linked) => operation(guest.files, file, linked), signal);
  }

  return {
    async stat(ref, { follow }, signal) {
      const stat = (files: Guest["files"], file: FilePath, linked: AbortSignal) =>
        files.stat(file, { follow }, linked);
      return fileInfo(await act(ref, looking, stat, signal));
    },
    async makeDir(ref, options, signal) {
      await act(
        ref,
        "make a directory in",
        (files, file, s) => files.makeDirectory(file, options, s),
        signal,
      );
    },
    async rename(ref, to, signal) {
      requireChangeable(to);
      await act(ref, "rename a file in", (files, file, s) => files.rename({ ...file, to }, {}, s), signal);
    },
    async remove(ref, { recursive }, signal) {
      await act(ref, "remove a file in", (files, file, s) => files.remove(file, { recursive }, s), signal);
    },
    async symlink(ref, target, signal) {
      await act(
        ref,
        "make a symbolic link in",
        (files, file, s) => files.makeSymlink({ ...file, target }, s),
        signal,
      );
    },
  };
}
