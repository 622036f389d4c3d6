/** Files in places that others can write to: what stands there may be a link, a FIFO or a directory by now. */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";

/** Follows no link and waits for no writer. Undefined for anything other than a regular file, and for nothing at all. */
export async function openRegular(path: string): Promise<FileHandle | undefined> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(path, flags).catch((thrown: NodeJS.ErrnoException) => {
    if (["ENOENT", "ELOOP", "ENOTDIR", "ENXIO"].includes(thrown.code ?? "")) return undefined;
    throw thrown;
  });
  if (file === undefined || (await file.stat()).isFile()) return file;
  await file.close();
  return undefined;
}
