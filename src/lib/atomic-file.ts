/** Files and directories that are whole or absent after a crash. */
import { closeSync, constants, fsync, openSync, readdirSync } from "node:fs";
import { open, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { childOf } from "./byte-path.js";
import { randomId } from "./ids.js";
import { mapLimited } from "./limit.js";

export interface WriteOptions {
  /** Permission bits of the new file; default 0600. */
  readonly mode?: number;
}

/** Replaces `path` in one step: readers see the old content or the new, also after a power cut. */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  { mode = 0o600 }: WriteOptions = {},
): Promise<void> {
  const temporary = `${path}.${randomId()}.tmp`;
  try {
    await writeNewFile(temporary, data, { mode });
    await rename(temporary, path);
  } catch (thrown) {
    await rm(temporary, { force: true });
    throw thrown;
  }
  await syncDirectory(dirname(path));
}

/** Writes a file that must not exist yet and makes its content durable; its name is so once its directory is synced. */
async function writeNewFile(
  path: string,
  data: string | Uint8Array,
  { mode = 0o600 }: WriteOptions = {},
): Promise<void> {
  await using file = await open(path, "wx", mode);
  await file.writeFile(data);
  await file.sync();
}

/** Makes creations, removals and renames inside a directory durable. */
export async function syncDirectory(path: string | Buffer): Promise<void> {
  await using directory = await open(path, "r");
  await directory.sync();
}

/** A disk writes several at once for little more than one. Libuv has 16 threads: others need some of them too. */
const syncsAtOnce = 12;

/** Syncs every regular file of a directory tree, then its directories; links are not followed. */
export async function syncTree(path: string | Buffer, signal?: AbortSignal): Promise<void> {
  const directory = Buffer.from(path);
  const entries = await readdir(directory, { withFileTypes: true, encoding: "buffer" });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => childOf(directory, entry.name));
  await mapLimited(files, syncsAtOnce, syncFile, signal);
  for (const entry of entries) {
    if (entry.isDirectory()) await syncTree(childOf(directory, entry.name), signal);
  }
  await syncDirectory(path);
}

async function syncFile(path: Buffer): Promise<void> {
  await using file = await open(path, "r");
  await file.sync();
}

/**
 * Syncs the regular files of a directory that have just been written, and the directory. The disk has the first of
 * them to do when this returns its promise: opening them waits for nothing, and a caller who goes on without a pause
 * would keep them from being opened otherwise.
 */
export async function syncWritten(directory: string, signal?: AbortSignal): Promise<void> {
  const entries = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = entries.map(({ name }) => join(directory, name));
  await mapLimited([...paths, directory], syncsAtOnce, syncOpened, signal);
}

const syncDescriptor = promisify(fsync);

async function syncOpened(path: string): Promise<void> {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    await syncDescriptor(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
