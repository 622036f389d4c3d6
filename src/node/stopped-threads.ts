/**
 * Stopped threads (SIGSTOP, Ctrl-Z) in a version 1 freezer. Whoever seizes a stopped thread waits in the kernel until
 * it has come to the tracer's stop instead (ptrace_attach in kernel/ptrace.c), and a frozen one never does: CRIU
 * would hang for good. Once it waits, the thread is taken out of the freezer for the instant that it needs to get
 * there, a few microseconds in which it runs no code of its own. Version 2 knows no such wait.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { present } from "../lib/present.js";
import { delay } from "../lib/signal.js";
import type { CgroupDirectory } from "./cgroup.js";

const pollMs = 1;
/** Reads of a thread's state, some 10 µs each. */
const trapReadsMax = 1000;

/** Returns once all that are stopped are seized, or at `signal`. */
export async function yieldStopped(group: CgroupDirectory, signal: AbortSignal): Promise<void> {
  if (group.version === 2) return;
  const threads = (await present(readFile(join(group.path, "tasks"), "utf8")))?.split("\n").filter(Boolean);
  let waiting: string[] = [];
  for (const thread of threads ?? []) if (await isStopped(thread)) waiting.push(thread);
  while (waiting.length > 0 && !signal.aborted) {
    waiting = waiting.filter((thread) => !yieldOne(group.path, thread));
    await delay(pollMs);
  }
}

/** The state that /proc shows of frozen threads is the freezer's; where they wait is their own. */
async function isStopped(thread: string): Promise<boolean> {
  return (await present(readFile(`/proc/${thread}/wchan`, "utf8"))) === "do_signal_stop";
}

/** False while nobody seizes it; true too for one that is gone. All at once: CRIU is to find it in its place. */
function yieldOne(directory: string, thread: string): boolean {
  if (!existsSync(`/proc/${thread}`)) return true;
  if (/^TracerPid:\t0$/m.test(status(thread))) return false;
  writeFileSync(join(dirname(directory), "tasks"), thread);
  try {
    for (let reads = 0; reads < trapReadsMax; reads += 1) if (/^State:\tt/m.test(status(thread))) return true;
    return false;
  } finally {
    writeFileSync(join(directory, "tasks"), thread);
  }
}

function status(thread: string): string {
  return readFileSync(`/proc/${thread}/status`, "utf8");
}
