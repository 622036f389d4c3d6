/** This machine's end of a copy. What comes out of a sandbox is written with care: it may be hostile. */
import { createReadStream, type Stats } from "node:fs";
import { chmod, lstat, mkdir, open, readdir, readlink, rename, rm, stat, symlink } from "node:fs/promises";
import { basename } from "node:path";
import { DomainError, type ErrorCode } from "../../lib/errors.js";
import { type Entry, joinPath, type Sink, type Source } from "./tree.js";

export function localSource(signal: AbortSignal): Source {
  return {
    async entry(path, { follow }) {
      return await entryAt(path, follow ? stat : lstat);
    },
    async *children(directory) {
      const names = (await readdir(directory.path)).sort();
      for (const name of names) yield await entryAt(joinPath(directory.path, name), lstat);
    },
    data: ({ path }) => createReadStream(path, { signal }),
  };
}

async function entryAt(path: string, look: typeof lstat): Promise<Entry> {
  const stats = await look(path).catch((error: NodeJS.ErrnoException) => {
    throw localError(error, path);
  });
  const type = typeOf(stats);
  const entry = { path, name: basename(path), type, mode: stats.mode & 0o7777, sizeBytes: stats.size };
  return type === "symlink" ? { ...entry, symlinkTarget: await readlink(path) } : entry;
}

function typeOf(stats: Stats): Entry["type"] {
  if (stats.isFile()) return "regular";
  if (stats.isDirectory()) return "directory";
  return stats.isSymbolicLink() ? "symlink" : "other";
}

const localCodes: Readonly<Record<string, ErrorCode>> = {
  ENOENT: "not_found",
  ENOSPC: "resource_exhausted",
  EDQUOT: "resource_exhausted",
};

const localTexts: Readonly<Record<string, (path: string) => string>> = {
  ENOENT: (path) => `there is no ${path} on this machine`,
  ENOTDIR: (path) => `a part of ${path} on this machine is no directory`,
};

function localError(error: NodeJS.ErrnoException, path: string): DomainError {
  const code = localCodes[error.code ?? ""] ?? "failed_precondition";
  const text = localTexts[error.code ?? ""]?.(path) ?? error.message;
  return new DomainError(code, text, { cause: error });
}

export function localSink(): Sink {
  return {
    async kindOf(path) {
      const stats = await stat(path).catch(missing);
      if (stats === undefined) return undefined;
      return stats.isDirectory() ? "directory" : "file";
    },
    async makeDirectory(path, mode) {
      const found = await lstat(path).catch(missing);
      if (found?.isDirectory()) return;
      if (found !== undefined)
        throw new DomainError(
          "failed_precondition",
          `cannot make directory ${path}: something else is there`,
        );
      await mkdir(path).catch((error: NodeJS.ErrnoException) => {
        throw localError(error, path);
      });
      await chmod(path, safeMode(mode));
    },
    async writeFile(path, mode, data) {
      const found = await lstat(path).catch(missing);
      const isOrdinary = found === undefined || found.isFile() || found.isSymbolicLink();
      try {
        if (isOrdinary) await replaceFile(path, safeMode(mode), data);
        else await writeInto(path, "r+", data);
      } catch (error) {
        throw isErrno(error) ? localError(error, path) : error;
      }
    },
    async makeSymlink(path, target) {
      const found = await lstat(path).catch(missing);
      if (found !== undefined && !found.isDirectory()) await rm(path);
      await symlink(target, path).catch((error: NodeJS.ErrnoException) => {
        throw localError(error, path);
      });
    },
  };
}

/** Set-id bits stay behind: the file would be owned by the caller, who may be root. */
function safeMode(mode: number): number {
  return mode & 0o777;
}

/** Beside its place and then renamed: a link at that place is replaced, never followed. */
async function replaceFile(path: string, mode: number, data: AsyncIterable<Uint8Array>): Promise<void> {
  const temporary = `${path}.ramet-${process.pid}`;
  try {
    await rm(temporary, { force: true });
    await writeInto(temporary, "wx", data);
    await chmod(temporary, mode);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function writeInto(path: string, flags: string, data: AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(path, flags, 0o600);
  try {
    for await (const chunk of data) await file.writeFile(chunk);
  } finally {
    await file.close();
  }
}

function isErrno(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error;
}

function missing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT" && error.code !== "ENOTDIR") throw error;
}
