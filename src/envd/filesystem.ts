/** filesystem.Filesystem over a node's files. */
import type { ServiceImpl } from "@connectrpc/connect";
import type { Filesystem } from "../gen/e2b/filesystem_pb.js";
import { guestErrorOf } from "../guest-client/errors.js";
import { DomainError, isDomainError } from "../lib/errors.js";
import type { FileInfo } from "../node/files.js";
import { answering } from "./call.js";
import type { EnvdDeps } from "./deps.js";
import { entriesOf, entryOf } from "./entry.js";
import { invalid } from "./failure.js";
import { placeOf, shown } from "./place.js";
import { watchService } from "./watch.js";

type Service = ServiceImpl<typeof Filesystem>;

/** The guest's own. */
const depthMax = 64;

interface OnePath {
  readonly path: string;
}

export function filesystemService(deps: EnvdDeps): Service {
  return { ...looking(deps), ...changing(deps), ...watchService(deps) } as Service;
}

function looking({ node }: EnvdDeps) {
  return {
    stat: answering(async ({ path }: OnePath, call, signal) => {
      const place = await placeOf(node, call, path, signal);
      const file = await node.files.stat(place, { follow: false }, signal);
      return { entry: await entryOf(node, place, file, signal) };
    }),
    listDir: answering(async ({ path, depth }: OnePath & { readonly depth: number }, call, signal) => {
      if (depth > depthMax) throw invalid(`a depth of ${depth}: at most ${depthMax} levels are listed`);
      const place = await placeOf(node, call, path, signal);
      const files: FileInfo[] = [];
      for await (const file of node.files.list(place, { depth: depth || 1 }, signal)) files.push(file);
      return { entries: await entriesOf(node, place, inOrder(files), signal) };
    }),
  };
}

/** As a walk finds them that takes names in the order of their bytes, and a directory before what it holds. */
function inOrder(files: readonly FileInfo[]): FileInfo[] {
  const keyed = files.map((file) => ({ file, parts: file.path.split("/").map((part) => Buffer.from(part)) }));
  return keyed.sort((one, other) => compareParts(one.parts, other.parts)).map(({ file }) => file);
}

function compareParts(one: readonly Buffer[], other: readonly Buffer[]): number {
  for (const [index, part] of one.entries()) {
    const against = other[index];
    if (against === undefined) return 1;
    const order = Buffer.compare(part, against);
    if (order !== 0) return order;
  }
  return one.length - other.length;
}

function changing({ node }: EnvdDeps) {
  const { files } = node;
  return {
    makeDir: answering(async ({ path }: OnePath, call, signal) => {
      const place = await placeOf(node, call, path, signal);
      const { created, file } = await files
        .makeDir(place, { parents: true, mode: 0o755 }, signal)
        .catch(rethrowNoDirectory(path));
      if (!created) throw new DomainError("already_exists", `directory ${shown(path)} already exists`);
      return { entry: await entryOf(node, place, file, signal) };
    }),
    move: answering(
      async (
        { source, destination }: { readonly source: string; readonly destination: string },
        call,
        signal,
      ) => {
        const from = await placeOf(node, call, named(source), signal);
        const to = await placeOf(node, call, destination, signal);
        const file = await files.rename(from, to.path, { parents: true }, signal);
        return { entry: await entryOf(node, to, file, signal) };
      },
    ),
    remove: answering(async ({ path }: OnePath, call, signal) => {
      const place = await placeOf(node, call, named(path), signal);
      await files.remove(place, { recursive: true, missingOk: true }, signal);
      return {};
    }),
  };
}

/** An empty path is the user's home, which nobody means to lose by a variable that was not set. */
function named(path: string): string {
  if (path === "") throw invalid("the path is missing");
  return path;
}

/** A directory that is there is no error of the guest's; what it finds in the way is something else. */
const rethrowNoDirectory =
  (path: string) =>
  (thrown: unknown): never => {
    const code = guestErrorOf(thrown)?.code;
    if (code !== "exists" && code !== "not_directory" && !isDomainError(thrown, "already_exists"))
      throw thrown;
    throw new DomainError("invalid_argument", `${shown(path)} is not a directory`, { cause: thrown });
  };
