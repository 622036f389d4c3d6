/** Copies a file or a directory from one tree to another, with the rules of `docker cp`. */
import { posix } from "node:path";
import { DomainError } from "../../lib/errors.js";
import { type Entry, joinPath, type Sink, type Source } from "./tree.js";

export interface CopyRequest {
  readonly from: string;
  readonly to: string;
  /** Copy what a symbolic link at `from` points to, not the link. */
  readonly followLink: boolean;
  /** Both ends are of one sandbox. */
  readonly isSameTree: boolean;
}

export interface Copied {
  files: number;
  directories: number;
  symlinks: number;
  bytes: number;
}

export interface CopyWatcher {
  onBytes(path: string, copied: Copied): void;
  /** Left out, and why. */
  onSkipped(path: string, why: string): void;
}

interface Link {
  readonly path: string;
  readonly target: string;
}

/**
 * Links are made after everything else, and so nothing is ever written through a link that the source planted.
 * `failed_precondition`: a directory onto a file, or a file into a directory that does not exist.
 */
export async function copyTree(
  source: Source,
  sink: Sink,
  request: CopyRequest,
  watcher: CopyWatcher,
): Promise<Copied> {
  const root = await source.entry(request.from, { follow: request.followLink });
  if (root.type === "other")
    throw new DomainError("failed_precondition", `cannot copy ${request.from}: ${notCopied}`);
  const target = await placeOf(root, sink, request);
  if (root.type === "directory" && request.isSameTree && isWithin(target, request.from))
    throw new DomainError("invalid_argument", `cannot copy ${request.from} into itself, to ${target}`);
  const copied: Copied = { files: 0, directories: 0, symlinks: 0, bytes: 0 };
  const links: Link[] = [];
  await copyEntry({ source, sink, watcher, copied, links }, root, target);
  for (const { path, target: text } of links) {
    await sink.makeSymlink(path, text);
    copied.symlinks += 1;
  }
  return copied;
}

async function placeOf(root: Entry, sink: Sink, { from, to }: CopyRequest): Promise<string> {
  const kind = await sink.kindOf(to);
  if (root.type === "directory") {
    if (kind === "file")
      throw new DomainError(
        "failed_precondition",
        `cannot copy directory ${from} onto ${to}, which is a file`,
      );
    return kind === undefined || meansContents(from) ? to : joinPath(to, posix.basename(from));
  }
  if (kind === "directory") return joinPath(to, posix.basename(from));
  if (to.endsWith("/"))
    throw new DomainError("not_found", `cannot copy to ${to}: there is no such directory`, {
      hint: "make it first, or leave out the / at the end",
    });
  return to;
}

function isWithin(path: string, directory: string): boolean {
  const above = `${posix.resolve("/", directory)}/`.replace("//", "/");
  return `${posix.resolve("/", path)}/`.startsWith(above);
}

/** `dir/.` and `.` mean what is in the directory; so do names that are no names. */
function meansContents(path: string): boolean {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return name === "." || name === ".." || posix.basename(path) === "";
}

interface CopyContext {
  readonly source: Source;
  readonly sink: Sink;
  readonly watcher: CopyWatcher;
  readonly copied: Copied;
  readonly links: Link[];
}

const notCopied = "it is neither a file, a directory nor a symbolic link";

/** Names that are no UTF-8 come with U+FFFD in them, and nothing can be asked for by such a name. */
const isNamed = ({ name }: Entry) => !name.includes("\ufffd");

async function copyEntry(context: CopyContext, entry: Entry, to: string): Promise<void> {
  const { source, sink, watcher, copied, links } = context;
  switch (entry.type) {
    case "regular":
      await sink.writeFile(to, entry.mode, counted(source.data(entry), context, entry.path));
      copied.files += 1;
      return;
    case "directory":
      // Its owner has to be able to fill it, whatever the mode of the original is.
      await sink.makeDirectory(to, entry.mode | 0o700);
      copied.directories += 1;
      for await (const child of source.children(entry)) {
        if (isNamed(child)) await copyEntry(context, child, joinPath(to, child.name));
        else watcher.onSkipped(child.path, "its name is not UTF-8");
      }
      return;
    case "symlink":
      links.push({ path: to, target: entry.symlinkTarget ?? "" });
      return;
    case "other":
      watcher.onSkipped(entry.path, notCopied);
  }
}

async function* counted(
  data: AsyncIterable<Uint8Array>,
  { copied, watcher }: CopyContext,
  path: string,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of data) {
    copied.bytes += chunk.length;
    watcher.onBytes(path, copied);
    yield chunk;
  }
}
