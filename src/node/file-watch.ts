/** Changes below a path as they happen, through dumps. */
import { isDomainError } from "../lib/errors.js";
import { fileChange } from "./file-info.js";
import type { FileDeps, FilePlace } from "./file-place.js";
import type { FileChange } from "./files.js";
import type { Guest } from "./guests.js";

/**
 * `ready` first: from then on nothing is missed. A dump takes the watch away; it is set again, and `rescan` says
 * that changes in between are not told. Ends once the watched path itself is gone.
 */
export async function* watchFiles(
  { guests }: Pick<FileDeps, "guests">,
  { id, file }: FilePlace,
  recursive: boolean,
  signal: AbortSignal,
): AsyncGenerator<FileChange> {
  let root = "";
  const open = async (guest: Guest, attempt: number, linked: AbortSignal) => {
    try {
      if (attempt === 0) root = (await guest.files.stat(file, {}, linked)).path;
      return changes(root, attempt, await guest.files.watch(file, { recursive }, linked));
    } catch (thrown) {
      if (attempt > 0 && isDomainError(thrown, "not_found")) return gone(root);
      throw thrown;
    }
  };
  yield* guests.stream(id, open, signal);
}

async function* changes(
  root: string,
  attempt: number,
  watch: Awaited<ReturnType<Guest["files"]["watch"]>>,
): AsyncGenerator<FileChange> {
  try {
    yield { type: attempt === 0 ? "ready" : "rescan", path: root };
    for await (const event of watch.events) yield fileChange(root, event);
  } finally {
    watch.close();
  }
}

async function* gone(root: string): AsyncGenerator<FileChange> {
  yield { type: "remove", path: root };
}
