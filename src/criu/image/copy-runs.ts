/** Copies parts of one file into another, which keeps its holes. */
import { writeSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { damaged } from "../damaged.js";
import type { Run } from "./plan-memory.js";

const windowBytes = 4 * 1024 * 1024;
/** What is not wanted is read too, up to here, when that saves a call. */
const gapBytesMax = 128 * 1024;
/** Below this a call through the thread pool takes longer than writing at once. */
const writeAtOnceMax = 128 * 1024;

export interface CopySource {
  readonly file: FileHandle;
  readonly name: string;
  /** It has holes, or pages of zeros: the target gets holes instead. */
  readonly isSparse?: boolean;
}

/** Reads and writes in large steps, in one buffer. `runs` are in the order of the source. */
export async function copyRuns(
  source: CopySource,
  target: FileHandle,
  runs: readonly Run[],
  signal: AbortSignal,
): Promise<void> {
  if (runs.length === 0) return;
  const buffer = Buffer.allocUnsafe(windowBytes);
  for (const window of windowsOf(runs)) {
    signal.throwIfAborted();
    const bytes = buffer.subarray(0, window.bytes);
    await readAll(source, bytes, window.from);
    for (const run of window.runs) {
      const start = run.from - window.from;
      const found = bytes.subarray(start, start + run.bytes);
      if (source.isSparse !== true) await writeAll(target, found, run.to);
      else
        for (const [from, to] of dataIn(found))
          await writeAll(target, found.subarray(from, to), run.to + from);
    }
  }
}

const zeros = Buffer.alloc(4096);

/** Where there is anything but whole pages of zeros. */
function* dataIn(bytes: Buffer): Generator<readonly [number, number]> {
  let from: number | undefined;
  for (let at = 0; at < bytes.length; at += zeros.length) {
    const end = Math.min(at + zeros.length, bytes.length);
    const isHole = bytes.compare(zeros, 0, end - at, at, end) === 0;
    if (isHole && from !== undefined) yield [from, at];
    from = isHole ? undefined : (from ?? at);
  }
  if (from !== undefined) yield [from, bytes.length];
}

interface Window {
  readonly from: number;
  readonly bytes: number;
  readonly runs: readonly Run[];
}

/** Runs that are read together: as many as fit, and parts of those that are longer. */
export function* windowsOf(runs: readonly Run[]): Generator<Window> {
  let open: { from: number; end: number; runs: Run[] } | undefined;
  for (const run of runs) {
    for (let done = 0; done < run.bytes; ) {
      const from = run.from + done;
      if (open !== undefined && (from - open.end > gapBytesMax || from >= open.from + windowBytes)) {
        yield { from: open.from, bytes: open.end - open.from, runs: open.runs };
        open = undefined;
      }
      open ??= { from, end: from, runs: [] };
      const bytes = Math.min(run.bytes - done, open.from + windowBytes - from);
      open.runs.push({ from, to: run.to + done, bytes });
      open.end = Math.max(open.end, from + bytes);
      done += bytes;
    }
  }
  if (open !== undefined) yield { from: open.from, bytes: open.end - open.from, runs: open.runs };
}

async function readAll({ file, name }: CopySource, into: Buffer, position: number): Promise<void> {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await file.read(into, done, into.length - done, position + done);
    if (bytesRead === 0) throw damaged(name, `it ends at ${position + done}`);
    done += bytesRead;
  }
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const left = bytes.length - done;
    done +=
      left <= writeAtOnceMax
        ? writeSync(file.fd, bytes, done, left, position + done)
        : (await file.write(bytes, done, left, position + done)).bytesWritten;
  }
}
