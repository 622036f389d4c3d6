/** A process with memory of every kind, and what its memory is, byte for byte. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { open, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { waitUntil } from "../../../src/lib/signal.js";

/** Compiles a program beside this file into the directory; gives its path. It needs nothing else of a file system. */
export async function buildProgram(dir: string, name: "memory" | "listener"): Promise<string> {
  const program = join(dir, name);
  const source = join(import.meta.dirname, `${name}.c`);
  await execa("gcc", ["-O1", "-Wall", "-Werror", "-static", "-pthread", "-o", program, source]);
  return program;
}

/** The kernel writes into a thread's rseq area whenever it runs; without one, memory stands still. */
export const quietEnv = { GLIBC_TUNABLES: "glibc.pthread.rseq=0" };

export async function reports(result: string, names: readonly string[], signal: AbortSignal) {
  const paths = names.map((name) => `${result}.${name}`);
  const wait = { intervalMs: 10, timeoutMs: 60_000 };
  await waitUntil(`reports ${names.join()}`, () => paths.every((path) => existsSync(path)), wait, signal);
  return Promise.all(paths.map((path) => readFile(path, "utf8")));
}

export interface Mapping {
  readonly start: number;
  readonly end: number;
  readonly prot: string;
  readonly path: string;
}

export async function mappingsOf(pid: number): Promise<Mapping[]> {
  const text = await readFile(`/proc/${pid}/maps`, "utf8");
  return text
    .trim()
    .split("\n")
    .map((line) => {
      const [, start = "", end = "", prot = "", path = ""] =
        /^(\w+)-(\w+) (\S{4}) \S+ \S+ \S+\s*(.*)$/.exec(line) ?? [];
      return { start: Number.parseInt(start, 16), end: Number.parseInt(end, 16), prot, path };
    });
}

/** A checksum of the bytes of each mapping, and what may be done with it. Those of the kernel are left out. */
export async function memoryOf(pid: number, ranges?: readonly Mapping[]): Promise<Map<string, string>> {
  const mappings = await mappingsOf(pid);
  await using mem = await open(`/proc/${pid}/mem`, "r");
  const sums = new Map<string, string>();
  for (const { start, end, path } of ranges ?? mappings) {
    if (/^\[(vdso|vvar|vsyscall|uprobes)/.test(path)) continue;
    const bytes = Buffer.alloc(end - start);
    const { bytesRead } = await mem.read(bytes, 0, bytes.length, start);
    const prots = mappings.filter((it) => it.start < end && it.end > start).map(({ prot }) => prot);
    const sum = createHash("sha256").update(bytes.subarray(0, bytesRead)).digest("hex");
    sums.set(`${start.toString(16)}-${end.toString(16)}`, `${[...new Set(prots)]} ${bytesRead} ${sum}`);
  }
  return sums;
}

/** Waits until all threads of a process wait for a signal: from then on none of them writes. */
export async function waitUntilQuiet(pid: number, signal: AbortSignal): Promise<void> {
  const sigwait = "128 ";
  const quiet = async () => {
    const threads = await readdir(`/proc/${pid}/task`);
    const calls = threads.map((tid) => readFile(`/proc/${pid}/task/${tid}/syscall`, "utf8"));
    return (await Promise.all(calls)).every((call) => call.startsWith(sigwait));
  };
  await waitUntil(`quiet in ${pid}`, quiet, { intervalMs: 10, timeoutMs: 60_000 }, signal);
}

export async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
  return text.trim().split(/\s+/).filter(Boolean).map(Number);
}
