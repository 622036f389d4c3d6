/** Reads a checkpoint's files and compares them with the manifest. What it finds is said in sentences. */
import { createHash } from "node:crypto";
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
} from "node:fs";
import { type FileHandle, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { mapLimited } from "../lib/limit.js";
import type { Begun } from "../lib/read-ahead.js";
import { openRegular } from "../lib/regular-file.js";
import type { ManifestFile } from "./manifest.js";

export interface VerifyOptions {
  /** Read every file again instead of trusting files that have not changed since they were last read. */
  readonly fresh?: boolean;
}

export interface DigestOptions {
  /** What has been read already, by path. */
  readonly begun?: ReadonlyMap<string, Begun>;
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
  digest(directory: string, options?: DigestOptions, signal?: AbortSignal): Promise<ManifestFile[]>;
}

export interface VerifierLimits {
  /** Files read at once. */
  readonly parallel: number;
  /** Digests remembered, some 200 bytes each. */
  readonly rememberMax: number;
}

const chunkBytes = 1024 * 1024;

export function createVerifier({ parallel, rememberMax }: VerifierLimits): Verifier {
  const known = createMemory(rememberMax);

  async function digestOf(
    file: FileHandle,
    { fresh = false, begun }: { readonly fresh?: boolean; readonly begun?: Begun },
    signal?: AbortSignal,
  ): Promise<string> {
    const stat = await file.stat({ bigint: true });
    const before = fingerprint(stat);
    const remembered = known.get(before);
    if (remembered !== undefined && !fresh) return remembered;
    const sha256 = await sha256Of(
      file,
      stat.size,
      begun ?? { hash: createHash("sha256"), position: 0 },
      signal,
    );
    // One that changed while it was read is not remembered.
    if (fingerprint(await file.stat({ bigint: true })) === before) known.remember(before, sha256);
    return sha256;
  }

  async function checkOne(
    directory: string,
    expected: ManifestFile,
    fresh: boolean,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    await using file = await openRegular(join(directory, expected.path));
    if (file === undefined) return `${expected.path} is missing, or no regular file`;
    const { size } = await file.stat();
    if (size !== expected.sizeBytes) {
      return `${expected.path} has ${size} bytes instead of ${expected.sizeBytes}`;
    }
    if ((await digestOf(file, { fresh }, signal)) !== expected.sha256) {
      return `${expected.path} has changed: its content does not match its digest`;
    }
    return undefined;
  }

  return {
    async verify(directory, files, { fresh = false } = {}, signal) {
      const check = (file: ManifestFile, _index: number, linked: AbortSignal) =>
        checkOne(directory, file, fresh, linked);
      const suspects = fresh ? files : await unknownOf(known, directory, files, signal);
      return (await mapLimited(suspects, parallel, check, signal)).filter((problem) => problem !== undefined);
    },

    async digest(directory, { begun } = {}, signal) {
      const read = async (path: string, _index: number, linked: AbortSignal) => {
        await using file = await open(join(directory, path), constants.O_RDONLY | constants.O_NOFOLLOW);
        const soFar = begun?.get(path);
        const sha256 = await digestOf(file, soFar === undefined ? {} : { begun: soFar }, linked);
        return { path, sizeBytes: (await file.stat()).size, sha256 };
      };
      const paths = (await pathsBelow(directory)).sort();
      const small = await digestSmall(directory, paths, known, signal);
      const large = paths.filter((path) => !small.has(path));
      for (const file of await mapLimited(large, parallel, read, signal)) small.set(file.path, file);
      return paths.map((path) => small.get(path)).filter((file) => file !== undefined);
    },
  };
}

/** Digests by device, inode, size and times: a file that was written to since has another key, a moved one has not. */
function createMemory(max: number) {
  const known = new Map<string, string>();
  return {
    get: (key: string) => known.get(key),
    remember(key: string, sha256: string): void {
      known.delete(key);
      known.set(key, sha256);
      for (const oldest of known.keys()) {
        if (known.size <= max) break;
        known.delete(oldest);
      }
    },
  };
}

type Memory = ReturnType<typeof createMemory>;

/** Those that one look at the inode does not tell to be as expected. */
async function unknownOf(
  known: Memory,
  directory: string,
  files: readonly ManifestFile[],
  signal?: AbortSignal,
): Promise<ManifestFile[]> {
  const unknown: ManifestFile[] = [];
  for (const [index, file] of files.entries()) {
    await takeTurns(index, signal);
    if (!isKnown(known, join(directory, file.path), file)) unknown.push(file);
  }
  return unknown;
}

function isKnown(known: Memory, path: string, { sizeBytes, sha256 }: ManifestFile): boolean {
  const found = lookAt(path);
  return (
    found?.isFile() === true && found.size === BigInt(sizeBytes) && known.get(fingerprint(found)) === sha256
  );
}

/** So small that waiting for a thread, several times for each file, would take longer than reading it. */
const smallBytes = 128 * 1024;
const filesPerTurn = 64;

/** Lets others have their turn between files that are looked at without waiting for a thread. */
async function takeTurns(index: number, signal?: AbortSignal): Promise<void> {
  if (index === 0 || index % filesPerTurn !== 0) return;
  signal?.throwIfAborted();
  await setImmediate();
}

/** Undefined where there is none, or none that can be looked at. */
function lookAt(path: string): BigIntStats | undefined {
  try {
    return lstatSync(path, { bigint: true, throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

async function digestSmall(
  directory: string,
  paths: readonly string[],
  known: Memory,
  signal?: AbortSignal,
): Promise<Map<string, ManifestFile>> {
  const digested = new Map<string, ManifestFile>();
  for (const [index, path] of paths.entries()) {
    await takeTurns(index, signal);
    const found = readSmall(join(directory, path));
    if (found === undefined) continue;
    const sha256 = createHash("sha256").update(found.content).digest("hex");
    known.remember(fingerprint(found.stat), sha256);
    digested.set(path, { path, sizeBytes: found.content.length, sha256 });
  }
  return digested;
}

/** Undefined for one that is larger, or that changes while it is read. */
function readSmall(path: string): { readonly content: Buffer; readonly stat: BigIntStats } | undefined {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(file, { bigint: true });
    if (!stat.isFile() || stat.size > BigInt(smallBytes)) return undefined;
    const content = readFileSync(file);
    const isSame = fingerprint(fstatSync(file, { bigint: true })) === fingerprint(stat);
    return isSame && BigInt(content.length) === stat.size ? { content, stat } : undefined;
  } finally {
    closeSync(file);
  }
}

async function pathsBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(join(directory, "/").length));
}

/** One that nobody may write to gets other names all the time, each of which changes its ctime. */
function fingerprint({ dev, ino, size, mode, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, (mode & 0o222n) === 0n ? "" : ctimeNs].join(":");
}

async function sha256Of(
  file: FileHandle,
  sizeBytes: bigint,
  { hash, position: begun }: Begun,
  signal?: AbortSignal,
): Promise<string> {
  // Most images are small.
  const buffer = Buffer.allocUnsafe(sizeBytes < chunkBytes ? Number(sizeBytes) + 1 : chunkBytes);
  for (let position = begun; ; ) {
    signal?.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) return hash.digest("hex");
    hash.update(buffer.subarray(0, bytesRead));
    position += bytesRead;
  }
}
