/** Paths as E2B's clients write them. */
import { posix } from "node:path";
import type { FileRef } from "../node/files.js";
import type { EnvdCall, EnvdNode } from "./deps.js";
import { invalid } from "./failure.js";

type Who = Pick<EnvdCall, "sandbox" | "user">;

/** The file that `path` names to this user. */
export async function placeOf(
  node: EnvdNode,
  { sandbox, user }: Who,
  path: string,
  signal: AbortSignal,
): Promise<FileRef> {
  const absolute = await absolutePath(node, { sandbox, user }, path, signal);
  return { sandbox, path: absolute, ...(user === undefined ? {} : { user }) };
}

/**
 * `~` is the user's home; a relative path begins at the sandbox's directory, or the home if it has none or the user is
 * another than the sandbox's. Then `.` and `..` are taken out of the text, whatever links there are.
 */
export async function absolutePath(
  node: EnvdNode,
  who: Who,
  path: string,
  signal: AbortSignal,
): Promise<string> {
  if (path.startsWith("/")) return clean(path);
  if (path === "~" || path.startsWith("~/"))
    return clean(posix.join((await node.files.user(who.sandbox, who.user, signal)).home, path.slice(1)));
  if (path.startsWith("~")) throw invalid(`${shown(path)}: only the user's own home can be named by ~`);
  return clean(posix.join(await startOf(node, who, signal), path));
}

/** Where relative paths begin. */
async function startOf(node: EnvdNode, who: Who, signal: AbortSignal): Promise<string> {
  return (await directoryOf(node, who)) ?? (await node.files.user(who.sandbox, who.user, signal)).home;
}

/** The sandbox's, for its own user. Undefined: the user's home. */
export async function directoryOf(node: EnvdNode, { sandbox, user }: Who): Promise<string | undefined> {
  const { spec } = await node.sandboxes.get(sandbox);
  const isOwn = user === undefined || user === spec.user;
  // Images that name none have "/".
  return isOwn && spec.cwd !== "" && spec.cwd !== "/" ? spec.cwd : undefined;
}

function clean(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 ? normal.replace(/\/+$/, "") : normal;
}

export function shown(path: string): string {
  return JSON.stringify(path.length <= 200 ? path : `${path.slice(0, 200)}…`);
}
