/** Files of a sandbox, through its guest and with the rights of one of its users. */
import type { FilePath } from "../guest-client/file-requests.js";
import { attributeOperations } from "./file-attributes.js";
import { fileInfo } from "./file-info.js";
import { listFiles } from "./file-list.js";
import { changeablePlaceOf, type FileDeps, placeOf, requireChangeable } from "./file-place.js";
import { readFile, writeFile } from "./file-transfer.js";
import { watchFiles } from "./file-watch.js";
import type { FileRef, Files } from "./files.js";
import type { Guest } from "./guests.js";
import { openTransferTurns } from "./transfer-turns.js";

export function openFiles(fileDeps: FileDeps): Files {
  const deps = { ...fileDeps, turns: openTransferTurns() };
  return {
    ...nameOperations(deps),
    ...attributeOperations(deps),
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

function nameOperations(
  deps: FileDeps,
): Pick<Files, "stat" | "makeDir" | "rename" | "remove" | "changeOwner" | "symlink"> {
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
      const { created, entry } = await act(
        ref,
        "make a directory in",
        (files, file, s) => files.makeDirectory(file, options, s),
        signal,
      );
      return { created, file: fileInfo(entry) };
    },
    async rename(ref, to, options, signal) {
      requireChangeable(to);
      const rename = (files: Guest["files"], file: FilePath, linked: AbortSignal) =>
        files.rename({ ...file, to }, options, linked);
      return fileInfo(await act(ref, "rename a file in", rename, signal));
    },
    async remove(ref, options, signal) {
      await act(ref, "remove a file in", (files, file, s) => files.remove(file, options, s), signal);
    },
    async changeOwner(ref, owner, signal) {
      const change = (files: Guest["files"], file: FilePath, linked: AbortSignal) =>
        files.changeOwner(file, owner, linked);
      return fileInfo(await act(ref, "change the owner of a file in", change, signal));
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
