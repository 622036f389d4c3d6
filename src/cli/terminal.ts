/** The caller's terminal while a process inside a sandbox has it. */
import type { InputStream, OutputStream } from "./io.js";

/** Hands every key to the process; the returned function gives the terminal back, and so does any exit. */
export function enterRawMode(stdin: InputStream): () => void {
  if (stdin.isTTY !== true || stdin.setRawMode === undefined) return () => {};
  stdin.setRawMode(true);
  const restore = () => {
    process.off("exit", restore);
    stdin.setRawMode?.(false);
  };
  process.once("exit", restore);
  return restore;
}

export interface Size {
  readonly rows: number;
  readonly columns: number;
}

export function sizeOf(stdout: OutputStream): Size {
  return { rows: stdout.rows ?? 24, columns: stdout.columns ?? 80 };
}

export function watchSize(stdout: OutputStream, onSize: (size: Size) => void): () => void {
  const listener = () => onSize(sizeOf(stdout));
  stdout.on("resize", listener);
  return () => stdout.off("resize", listener);
}

export interface Keys {
  /** What goes to the process. Bytes that may become the detach keys are held back until that is known. */
  readonly data: Uint8Array;
  readonly isDetached: boolean;
}

/** Looks for the detach keys in what is typed, across chunks. No keys: everything passes. */
export function createDetachFilter(keys: Uint8Array): (typed: Uint8Array) => Keys {
  let held = 0;
  return (typed) => {
    if (keys.length === 0) return { data: typed, isDetached: false };
    const passed: number[] = [];
    for (const byte of typed) {
      if (byte !== keys[held]) {
        passed.push(...keys.subarray(0, held));
        held = 0;
      }
      if (byte === keys[held]) held += 1;
      else passed.push(byte);
      if (held === keys.length) return { data: Uint8Array.from(passed), isDetached: true };
    }
    return { data: Uint8Array.from(passed), isDetached: false };
  };
}
