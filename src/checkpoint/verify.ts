/** Reads a checkpoint's files and compares them with the manifest. What it finds is said in sentences. */
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { mapLimited } from "../lib/limit.js";
import type { ManifestFile } from "./manifest.js";

export interface VerifyOptions {
  /** Read every file again instead of trusting files that have not changed since they were last read. */
  readonly fresh?: boolean;
}

export interface Verifier {
  /** One sentence for each file that is missing, of another size or of other content. More files are fine. */
  verify(
    directory: string,
    files: readonly ManifestFile[],
    options?: VerifyOptions,
    signal?: AbortSignal,
  ): Promise<string[]>;
  /** Digests of all regular files below a directory, sorted by path; for a manifest. */
  digest(directory: string, signal?: AbortSignal): Promise<ManifestFile[]>;
}

export interface VerifierLimits {
  /** Files read at once. */
  readonly parallel: number;
  /** Digests remembered, some 200 bytes each. */
  readonly rememberMax: number;
}

const chunkBytes = 1024 * 1024;

export function createVerifier({ parallel, rememberMax }: VerifierLimits): Verifier {
  // By device, inode, size and times: a file that was written to since has another key, a moved one has not.
  const known = new Map<string, string>();

  async function digestOf(file: FileHandle, fresh: boolean, signal?: AbortSignal): Promise<string> {
    const before = await fingerprint(file);
    const remembered = known.get(before);
    if (remembered !== undefined && !fresh) return remembered;
    const sha256 = await sha256Of(file, signal);
    // One that changed while it was read is not remembered.
    if ((await fingerprint(file)) === before) remember(before, sha256);
    return sha256;
  }

  function remember(key: string, sha256: string): void {
    known.delete(key);
    known.set(key, sha256);
    for (const oldest of known.keys()) {
      if (known.size <= rememberMax) break;
      known.delete(oldest);
    }
  }

  async function checkOne(
    directory: string,
    expected: ManifestFile,
    fresh: boolean,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    await using file = await openRegular(join(directory, expected.path));
    if (file === undefined) return `${expected.path} is missing`;
    const { size } = await file.stat();
    if (size !== expected.sizeBytes) {
      return `${expected.path} has ${size} bytes instead of ${expected.sizeBytes}`;
    }
    if ((await digestOf(file, fresh, signal)) !== expected.sha256) {
      return `${expected.path} has changed: its content does not match its digest`;
    }
    return undefined;
  }

  return {
    async verify(directory, files, { fresh = false } = {}, signal) {
      const check = (file: ManifestFile, _index: number, linked: AbortSignal) =>
        checkOne(directory, file, fresh, linked);
      return (await mapLimited(files, parallel, check, signal)).filter((problem) => problem !== undefined);
    },

    async digest(directory, signal) {
      const read = async (path: string, _index: number, linked: AbortSignal) => {
        await using file = await open(join(directory, path), constants.O_RDONLY | constants.O_NOFOLLOW);
        const sha256 = await digestOf(file, false, linked);
        return { path, sizeBytes: (await file.stat()).size, sha256 };
      };
      return mapLimited((await pathsBelow(directory)).sort(), parallel, read, signal);
    },
  };
}

async function pathsBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(join(directory, "/").length));
}

/** Undefined when there is nothing, or something other than a regular file. */
async function openRegular(path: string): Promise<FileHandle | undefined> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(path, flags).catch((thrown: NodeJS.ErrnoException) => {
    if (["ENOENT", "ELOOP", "ENOTDIR", "ENXIO"].includes(thrown.code ?? "")) return undefined;
    throw thrown;
  });
  if (file === undefined || (await file.stat()).isFile()) return file;
  await file.close();
  return undefined;
}

async function fingerprint(file: FileHandle): Promise<string> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await file.stat({ bigint: true });
  return [dev, ino, size, mtimeNs, ctimeNs].join(":");
}

async function sha256Of(file: FileHandle, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafe(chunkBytes);
  for (let position = 0; ; ) {
    signal?.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, chunkBytes, position);
    if (bytesRead === 0) return hash.digest("hex");
    hash.update(buffer.subarray(0, bytesRead));
    position += bytesRead;
  }
}
