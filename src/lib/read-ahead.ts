/**
 * Digests and writes out the large files of a dump while CRIU still appends to them: when it ends, little is left to
 * read and to bring to the disk. Only for files that are appended to and never changed, as CRIU's page images are.
 */
import { createHash, type Hash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { delay } from "./signal.js";

/** The digest of a file's first bytes, to be gone on with. */
export interface Begun {
  readonly hash: Hash;
  readonly position: number;
}

export interface ReadAhead {
  /** What has been read of each file, by its name; to be used once it has ended. */
  readonly begun: ReadonlyMap<string, Begun>;
  /** Stops. A file that could not be read is not begun, or not read further. */
  end(): Promise<void>;
}

const chunkBytes = 1024 * 1024;
/** So much at once for the disk: a small file is not worth a wait of its own. */
const syncBytes = 32 * 1024 * 1024;
const pollMs = 5;

interface Reading extends Begun {
  readonly file: FileHandle;
  position: number;
}

/** Reads the files of `directory` whose names match, those too that appear later, until `end`. */
export function readAhead(directory: string, names: RegExp): ReadAhead {
  const ending = new AbortController();
  const readings = new Map<string, Reading>();
  const reading = readAll(directory, names, readings, ending.signal).catch(() => {});
  return {
    begun: readings,
    async end() {
      ending.abort();
      await reading;
    },
  };
}

async function readAll(
  directory: string,
  names: RegExp,
  readings: Map<string, Reading>,
  signal: AbortSignal,
): Promise<void> {
  const buffer = Buffer.allocUnsafe(chunkBytes);
  try {
    while (!signal.aborted) {
      for (const name of await readdir(directory)) {
        if (!names.test(name) || readings.has(name)) continue;
        const file = await open(join(directory, name), constants.O_RDONLY | constants.O_NOFOLLOW);
        readings.set(name, { file, hash: createHash("sha256"), position: 0 });
      }
      for (const reading of readings.values()) await readOn(reading, buffer, signal);
      await delay(pollMs, signal);
    }
  } finally {
    await Promise.all([...readings.values()].map(({ file }) => file.close()));
  }
}

/** Reads what is there by now, whole chunks only. */
async function readOn(reading: Reading, buffer: Buffer, signal: AbortSignal): Promise<void> {
  const { file, hash } = reading;
  const { size } = await file.stat();
  let syncing: Promise<void> | undefined;
  while (!signal.aborted && size - reading.position >= buffer.length) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, reading.position);
    hash.update(buffer.subarray(0, bytesRead));
    reading.position += bytesRead;
    if (reading.position % syncBytes !== 0) continue;
    await syncing;
    // Who needs it durable syncs once more, and is told of a failure.
    syncing = file.datasync().catch(() => {});
  }
  await syncing;
}
