/** Contents of files, both ways. */
import type { FileEntry } from "../guest-client/file-replies.js";
import type { FileReading } from "../guest-client/file-streams.js";
import { DomainError } from "../lib/errors.js";
import { interruptible } from "../lib/interruptible.js";
import { fileInfo } from "./file-info.js";
import type { FileDeps, FilePlace } from "./file-place.js";
import type { FileInfo } from "./files.js";
import type { Guest } from "./guests.js";
import type { TransferTurns } from "./transfer-turns.js";

export interface TransferDeps extends Pick<FileDeps, "guests"> {
  readonly turns: TransferTurns;
}

export interface ReadRange {
  readonly offset: number;
  /** Absent: to the end. */
  readonly length?: number;
}

type Part =
  | { readonly kind: "file"; readonly file: FileInfo }
  | { readonly kind: "data"; readonly data: Uint8Array };

/**
 * Reads a regular file. A dump in the middle goes on at the same place, or ends it with `unavailable` if the file
 * is another one by then. `data` is for one reader; leaving it early, or the signal, closes the file.
 */
export async function readFile(
  { guests, turns }: TransferDeps,
  place: FilePlace,
  range: ReadRange,
  signal: AbortSignal,
): Promise<OpenedFile> {
  const end = await turns.take(place.id, signal);
  signal.addEventListener("abort", end, { once: true });
  try {
    return await openFile({ guests }, place, { range, end }, signal);
  } catch (thrown) {
    end();
    throw thrown;
  }
}

interface OpenedFile {
  readonly file: FileInfo;
  readonly data: AsyncIterable<Uint8Array>;
}

interface Opening {
  readonly range: ReadRange;
  /** Called once nothing more is read. */
  readonly end: () => void;
}

async function openFile(
  { guests }: Pick<TransferDeps, "guests">,
  { id, file }: FilePlace,
  { range, end }: Opening,
  signal: AbortSignal,
): Promise<OpenedFile> {
  const reading = createReading(range);
  const open = async (guest: Guest, _attempt: number, linked: AbortSignal) => {
    const opened = await guest.files.read(file, reading.rest(), linked);
    return reading.parts(opened);
  };
  const parts = guests.stream(id, open, signal)[Symbol.asyncIterator]();
  const first = await parts.next();
  if (first.done === true || first.value.kind !== "file") {
    throw new DomainError("internal", `reading ${file.path} began without the file`);
  }
  return { file: first.value.file, data: { [Symbol.asyncIterator]: () => dataOf(parts, end) } };
}

function createReading({ offset, length }: ReadRange) {
  let bytes = 0;
  let first: FileEntry | undefined;

  async function* parts(reading: FileReading): AsyncGenerator<Part> {
    const { entry } = reading;
    try {
      if (first === undefined) {
        first = entry;
        yield { kind: "file", file: fileInfo(entry) };
      } else if (first.mtimeNs !== entry.mtimeNs || first.sizeBytes !== entry.sizeBytes) {
        throw changed(entry.path);
      }
      for await (const data of reading.data) {
        bytes += data.length;
        yield { kind: "data", data };
      }
    } finally {
      reading.close();
    }
  }

  return {
    parts,
    rest: () => ({ offset: offset + bytes, ...(length === undefined ? {} : { length: length - bytes }) }),
  };
}

function changed(path: string): DomainError {
  return new DomainError(
    "failed_precondition",
    `${path} was changed while a checkpoint interrupted the reading`,
    {
      hint: "read it again from the start",
    },
  );
}

/** Leaving it before its start has to close the file too, which a generator would not do. */
function dataOf(parts: AsyncIterator<Part>, end: () => void): AsyncIterator<Uint8Array, undefined> {
  return {
    async next() {
      try {
        const part = await parts.next();
        if (part.done !== true && part.value.kind === "data") return { done: false, value: part.value.data };
        if (part.done !== true) throw new DomainError("internal", "a file began twice");
      } catch (thrown) {
        end();
        throw thrown;
      }
      end();
      return { done: true, value: undefined };
    },
    async return() {
      await parts.return?.();
      end();
      return { done: true, value: undefined };
    },
  };
}

export interface FileContent {
  readonly data: AsyncIterable<Uint8Array>;
  /** Permission bits of a new file, less the umask 022. */
  readonly mode: number;
  readonly parents: boolean;
  readonly inPlace?: boolean;
}

/**
 * Writes a file that appears whole or not at all, unless it is written in place. A dump waits for it for a while, then ends it with
 * `unavailable`, as the content cannot be asked for twice.
 */
export async function writeFile(
  { guests, turns }: TransferDeps,
  { id, file }: FilePlace,
  { data, mode, parents, inPlace = false }: FileContent,
  signal: AbortSignal,
): Promise<FileInfo> {
  const write = async (guest: Guest, linked: AbortSignal) => {
    const content = { ...file, data: interruptible(data, linked) };
    const { entry } = await guest.files.write(content, { atomic: !inPlace, mode, parents }, linked);
    return fileInfo(entry);
  };
  const end = await turns.take(id, signal);
  try {
    return await guests.call(id, write, signal);
  } finally {
    end();
  }
}
