/** The program that takes the listener out of a guarded process and answers for it. */
import { readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { expect } from "vitest";
import { waitUntil } from "../../../src/lib/signal.js";
import { waitUntilQuiet } from "./memory.js";

export async function listenersOf(pid: number): Promise<number> {
  const names = await readdir(`/proc/${pid}/fd`);
  // It may be closed meanwhile.
  const targets = await Promise.all(
    names.map((name) => readlink(join(`/proc/${pid}/fd`, name)).catch(() => "")),
  );
  return targets.filter((target) => target === "anon_inode:seccomp notify").length;
}

/** Answers for a process until it ends; `calls` then has the numbers of the calls. */
export async function listen(program: string, pid: number) {
  const running = execa(program, [String(pid)], { reject: false, buffer: false });
  const lines = running.iterable();
  const first = await lines.next();
  expect(first.value).toBe("listening");
  const calls = async () => {
    const all: number[] = [];
    for await (const line of lines) all.push(Number(line));
    return new Set(all);
  };
  return { calls: calls() };
}

/** The same, and the process has no listener any more: so it can be dumped again. */
export async function takeListener(program: string, pid: number, signal: AbortSignal): Promise<void> {
  await listen(program, pid);
  process.kill(pid, "SIGHUP");
  const isOut = async () => (await listenersOf(pid)) === 0;
  await waitUntil("the listener to be out", isOut, { intervalMs: 10, timeoutMs: 10_000 }, signal);
  await waitUntilQuiet(pid, signal);
}
