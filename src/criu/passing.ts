/**
 * To dump a tmpfs on which something else is mounted, CRIU mounts it once more, on a directory of its own that it makes
 * in the sandbox's /tmp, or else in its root, and takes away again (open_mountpoint in criu/mount.c). It shows in the
 * writable layer, which is copied meanwhile.
 */
import { lstat, readdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { present } from "../lib/present.js";

const name = /^cr-tmpfs\.[A-Za-z0-9]{6}$/;

/** Of such a directory or what is in it, as cp writes paths. */
export const passingPath = /\/cr-tmpfs\.[A-Za-z0-9]{6}['/]/;

/** Takes out of a copied layer what was there for that moment. What is not empty is somebody else's. */
export async function removePassing(layer: string): Promise<void> {
  for (const directory of [layer, join(layer, "tmp")]) {
    // A link leads out of the layer.
    if ((await present(lstat(directory)))?.isDirectory() !== true) continue;
    for (const entry of await readdir(directory))
      if (name.test(entry)) await rmdir(join(directory, entry)).catch(() => {});
  }
}
