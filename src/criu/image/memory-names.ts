/** Which memory files of earlier checkpoints a dump has, and which of them it still needs. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { DomainError } from "../../lib/errors.js";
import { presentSync } from "../../lib/present.js";
import { damaged } from "../damaged.js";
import { numbersOf, readMessages } from "./dump-files.js";
import { parseMessage, requiredNumber } from "./message.js";
import { readFileTable } from "./reg-file.js";
import type { Vma } from "./vma.js";

/** By id. `paths` are those of `files.img`. */
export function namesIn(paths: ReadonlyMap<number, string>, memoryPath: string): Map<number, string> {
  const names = [...paths]
    .filter(([, path]) => path.startsWith(`${memoryPath}/`))
    .map(([id, path]) => [id, path.slice(memoryPath.length + 1)] as const);
  const strange = names.find(([, name]) => name.includes("/"));
  if (strange !== undefined) throw damaged("files.img", `it has a file ${memoryPath}/${strange[1]}`);
  return new Map(names);
}

/** Whether a dump has any, be they gone or not. */
export async function hasMemoryNames(images: string, memoryPath: string): Promise<boolean> {
  const { paths } = readFileTable(await readMessages(images, "files.img", "files"), "files.img");
  return namesIn(paths, memoryPath).size > 0;
}

/**
 * Throws unless all that is mapped of earlier files is there still, in `directory`. CRIU dumps what nobody can restore:
 * a name that is gone as a file without one, and a file that was shortened as if nothing were mapped beyond its end.
 */
export function requireWhole(
  directory: string,
  names: ReadonlyMap<number, string>,
  vmas: readonly Vma[],
): void {
  const ends = new Map<string, number>();
  for (const { fileId, start, end, offset } of vmas) {
    const name = fileId === undefined ? undefined : names.get(fileId);
    if (name !== undefined) ends.set(name, Math.max(ends.get(name) ?? 0, offset + end - start));
  }
  for (const [name, end] of ends) {
    const size = presentSync(() => statSync(join(directory, name)))?.size;
    if (size === undefined) throw lost(name, "is missing");
    if (size < end) throw lost(name, `has ${size} bytes, of which ${end} are mapped`);
  }
}

function lost(name: string, how: string): DomainError {
  return new DomainError("failed_precondition", `the memory file ${name} ${how}`, {
    hint: "it was taken away or shortened by hand: `ramet doctor` tells from whom; save files with `ramet commit`",
  });
}

/** Of those that are mapped, given by their ids, or open (images/fdinfo.proto): a restore opens them. */
export async function neededNames(
  images: string,
  names: ReadonlyMap<number, string>,
  mapped: ReadonlySet<number>,
): Promise<string[]> {
  const isMapped = [...names.keys()].every((id) => mapped.has(id));
  const opened = isMapped ? mapped : await openIn(images);
  const needed = [...names].flatMap(([id, name]) => (mapped.has(id) || opened.has(id) ? [name] : []));
  return [...new Set(needed)].sort();
}

async function openIn(images: string): Promise<Set<number>> {
  const ids = new Set<number>();
  for (const number of numbersOf(images, "fdinfo")) {
    const name = `fdinfo-${number}.img`;
    for (const bytes of await readMessages(images, name, "fdinfo"))
      ids.add(requiredNumber(parseMessage(bytes, name), 1, name));
  }
  return ids;
}
