/** What is below a directory. A dump in the middle starts the listing anew and leaves out what was given. */
import type { ListEnd } from "../guest-client/file-replies.js";
import { entriesMax } from "../guest-client/file-streams.js";
import { DomainError } from "../lib/errors.js";
import { fileInfo } from "./file-info.js";
import type { FileDeps, FilePlace } from "./file-place.js";
import type { FileInfo } from "./files.js";
import type { Guest } from "./guests.js";

/**
 * Gives a directory before what it holds, unsorted, `depth` levels deep (1 to 64); what the user may not read is
 * left out. `resource_exhausted` after 100,000 entries when there are more.
 */
export async function* listFiles(
  { guests }: Pick<FileDeps, "guests">,
  { id, file }: FilePlace,
  depth: number,
  signal: AbortSignal,
): AsyncGenerator<FileInfo> {
  const given = new Set<string>();
  const open = async (guest: Guest, _attempt: number, linked: AbortSignal) => {
    const entries = guest.files.list(file, { depth }, linked);
    // Asking for the first one is what connects.
    return remaining(await entries.next(), entries);
  };

  async function* remaining(
    first: IteratorResult<Parameters<typeof fileInfo>[0], ListEnd>,
    entries: ReturnType<Guest["files"]["list"]>,
  ): AsyncGenerator<FileInfo> {
    try {
      for (let next = first; ; next = await entries.next()) {
        if (next.done === true) {
          if (next.value.truncated) throw tooMany(file.path);
          return;
        }
        if (given.has(next.value.path)) continue;
        given.add(next.value.path);
        yield fileInfo(next.value);
      }
    } finally {
      await entries.return({ count: 0, skipped: 0, truncated: false });
    }
  }

  yield* guests.stream(id, open, signal);
}

function tooMany(path: string): DomainError {
  return new DomainError(
    "resource_exhausted",
    `${path}: more than ${entriesMax} files; the rest is not listed`,
    {
      hint: "list its directories one by one, or less deep",
    },
  );
}
