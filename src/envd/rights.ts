/**
 * A node's files with the rights that E2B's clients expect: a user's, and root's where those are refused. Whoever may
 * ask may ask as root anyway. What is made belongs to the user.
 */
import { posix } from "node:path";
import { guestErrorOf } from "../guest-client/errors.js";
import { isDomainError } from "../lib/errors.js";
import type { FileInfo, FileRef, Files } from "../node/files.js";

const root = "0";
const asRoot = (ref: FileRef): FileRef => ({ ...ref, user: root });

export function withRootsRights(files: Files): Files {
  return { ...files, ...looking(files), ...changing(files) };
}

const isDenied = (thrown: unknown): boolean => guestErrorOf(thrown)?.code === "permission_denied";

async function either<T>(ref: FileRef, work: (ref: FileRef) => Promise<T>): Promise<T> {
  try {
    return await work(ref);
  } catch (thrown) {
    if (!isDenied(thrown)) throw thrown;
    return work(asRoot(ref));
  }
}

async function* eitherStream<T>(ref: FileRef, open: (ref: FileRef) => AsyncIterable<T>): AsyncGenerator<T> {
  let hasBegun = false;
  try {
    for await (const item of open(ref)) {
      hasBegun = true;
      yield item;
    }
    return;
  } catch (thrown) {
    if (hasBegun || !isDenied(thrown)) throw thrown;
  }
  yield* open(asRoot(ref));
}

function looking(files: Files): Pick<Files, "stat" | "list" | "read" | "watch" | "attributes"> {
  return {
    stat: (ref, options, signal) => either(ref, (as) => files.stat(as, options, signal)),
    list: (ref, options, signal) => eitherStream(ref, (as) => files.list(as, options, signal)),
    read: (ref, range, signal) => either(ref, (as) => files.read(as, range, signal)),
    watch: (ref, options, signal) => eitherStream(ref, (as) => files.watch(as, options, signal)),
    attributes: (ref, prefix, signal) => either(ref, (as) => files.attributes(as, prefix, signal)),
  };
}

function changing(files: Files): Pick<Files, "write" | "makeDir" | "rename" | "remove" | "setAttributes"> {
  return {
    // Refused before anything of the data is read.
    write: (ref, options, data, signal) =>
      either(ref, async (as) => {
        if (as === ref) return files.write(ref, options, data, signal);
        if (options.parents) await makeAbove(files, ref, ref.path, signal);
        await files.write(as, { ...options, parents: false }, data, signal);
        return give(files, ref, signal);
      }),
    makeDir: (ref, options, signal) =>
      either(ref, async (as) => {
        if (as === ref) return files.makeDir(ref, options, signal);
        if (options.parents) await makeAbove(files, ref, ref.path, signal);
        const { created, file } = await files.makeDir(as, options, signal);
        return { created, file: created ? await give(files, ref, signal) : file };
      }),
    rename: (ref, to, options, signal) =>
      either(ref, async (as) => {
        if (as !== ref && options.parents) await makeAbove(files, ref, to, signal);
        return files.rename(as, to, options, signal);
      }),
    remove: (ref, options, signal) => either(ref, (as) => files.remove(as, options, signal)),
    setAttributes: (ref, prefix, values, signal) =>
      either(ref, (as) => files.setAttributes(as, prefix, values, signal)),
  };
}

/** Directories above `path` that are missing; they are the user's. */
async function makeAbove(files: Files, ref: FileRef, path: string, signal: AbortSignal): Promise<void> {
  const missing: string[] = [];
  for (
    let at = posix.dirname(path);
    !(await isThere(files, { ...ref, path: at }, signal));
    at = posix.dirname(at)
  )
    missing.unshift(at);
  for (const at of missing) {
    await files.makeDir(asRoot({ ...ref, path: at }), { parents: true, mode: 0o755 }, signal);
    await give(files, { ...ref, path: at }, signal);
  }
}

async function isThere(files: Files, ref: FileRef, signal: AbortSignal): Promise<boolean> {
  try {
    await files.stat(asRoot(ref), { follow: true }, signal);
    return true;
  } catch (thrown) {
    if (isDomainError(thrown, "not_found") && ref.path !== "/") return false;
    throw thrown;
  }
}

async function give(files: Files, ref: FileRef, signal: AbortSignal): Promise<FileInfo> {
  const { uid, gid } = await files.user(ref.sandbox, ref.user, signal);
  return files.changeOwner(asRoot(ref), { uid, gid }, signal);
}
