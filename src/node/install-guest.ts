/** Guest binaries by version. Checkpoints need the very binary they were made with, so old ones stay. */
import { createHash } from "node:crypto";
import { chmod, copyFile, mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { DomainError } from "../lib/errors.js";
import type { Paths } from "./paths.js";

export interface Guests {
  /** What new sandboxes get: the first 16 hexadecimal digits of the binary's SHA-256. */
  readonly current: string;
  readonly installed: readonly string[];
}

/** Copies the binary that came with this release to where sandboxes link it from. */
export async function installGuest(paths: Pick<Paths, "guestBinary">, source: string): Promise<Guests> {
  const content = await readFile(source).catch((cause: unknown) => {
    throw new DomainError("failed_precondition", `no guest binary at ${source}`, {
      cause,
      hint: "`npm run build` makes it",
    });
  });
  const current = createHash("sha256").update(content).digest("hex").slice(0, 16);
  const target = paths.guestBinary(current);
  const directory = dirname(target);
  // The mapped root walks through here; only host root may change what it finds.
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const making = `${target}.making`;
  await rm(making, { force: true });
  if (!(await isSame(target, content))) {
    await copyFile(source, making);
    await chmod(making, 0o555);
    await rename(making, target);
  }
  return { current, installed: await readdir(dirname(directory)) };
}

async function isSame(path: string, content: Buffer): Promise<boolean> {
  return content.equals(await readFile(path).catch(() => Buffer.alloc(0)));
}
