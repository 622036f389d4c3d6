/** Which memory files of earlier checkpoints a dump has, and which of them it still needs. */
import { damaged } from "../damaged.js";
import { numbersOf, readMessages } from "./dump-files.js";
import { parseMessage, requiredNumber } from "./message.js";

/** By id. `paths` are those of `files.img`. */
export function namesIn(paths: ReadonlyMap<number, string>, memoryPath: string): Map<number, string> {
  const names = [...paths]
    .filter(([, path]) => path.startsWith(`${memoryPath}/`))
    .map(([id, path]) => [id, path.slice(memoryPath.length + 1)] as const);
  const strange = names.find(([, name]) => name.includes("/"));
  if (strange !== undefined) throw damaged("files.img", `it has a file ${memoryPath}/${strange[1]}`);
  return new Map(names);
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
