/**
 * The cgroup freezer, of either version (the kernel's freezer-subsystem and cgroup-v2 documents). The agent turns
 * it itself: containerd's pause and resume start runc each, some 8 ms during which a sandbox stands still. So would
 * it while a thread is asked to read and write the kernel's files, each of which takes microseconds.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { DomainError, isDomainError } from "../lib/errors.js";
import { presentSync } from "../lib/present.js";
import { killProcess } from "../lib/process-identity.js";
import { delay, withDeadline } from "../lib/signal.js";
import { cgroupsPathOf } from "../sandbox/oci-spec.js";
import { type CgroupDirectory, type CgroupMounts, freezerDirectory } from "./cgroup.js";
import { yieldStopped } from "./stopped-threads.js";

export interface Freezer {
  /**
   * Returns once every process stands still. After 10 s it thaws again and throws `deadline_exceeded`. What is `heldUp`,
   * standing still or not, is let go for a moment first.
   */
  freeze(id: string, heldUp?: () => Promise<boolean>): Promise<void>;
  /** Lets the processes run on. Those that run, or are gone, need nothing. */
  thaw(id: string): Promise<void>;
  /** False for one that is gone. */
  isFrozen(id: string): Promise<boolean>;
  /** Path of the file that lists its processes. */
  procsPath(id: string): string;
  /** As the host counts them; none for one that is gone. */
  pids(id: string): Promise<readonly number[]>;
  /** Ends frozen processes without letting one run on. */
  kill(id: string): Promise<void>;
  /** For the time of a dump of a frozen sandbox, until `signal`: lets CRIU seize its stopped processes. */
  yieldStopped(id: string, signal: AbortSignal): Promise<void>;
}

const freezeMs = 10_000;
/** Processes that wait in system calls stand still at once; whoever does not is not asked all the time. */
const eagerMs = 1;
const pollMs = 1;
/** Version 1 can hang half-way when processes come while it freezes; thawing in between lets them settle. */
const retryMs = 200;
/** What is held up is given longer from time to time. */
const letGoMsMax = 50;

export function openFreezer(mounts: CgroupMounts): Freezer {
  const groupOf = (id: string) => freezerDirectory(mounts, cgroupsPathOf(id));

  async function thaw(id: string): Promise<void> {
    presentSync(() => turn(groupOf(id), false));
  }

  const procsPath = (id: string) => join(groupOf(id).path, "cgroup.procs");

  async function pids(id: string): Promise<number[]> {
    const text = presentSync(() => readFileSync(procsPath(id), "utf8"));
    // 0 stands for a process of a pid namespace that cannot be seen from here.
    return (text ?? "")
      .split("\n")
      .map(Number)
      .filter((pid) => pid > 0);
  }

  return {
    procsPath,
    pids,
    async freeze(id, heldUp = async () => false) {
      const group = groupOf(id);
      try {
        const freeze = (signal: AbortSignal) => freezeGroup(group, heldUp, signal);
        await withDeadline(`freezing sandbox ${id}`, freezeMs, freeze);
      } catch (thrown) {
        await thaw(id);
        throw explain(id, thrown);
      }
    },
    thaw,
    isFrozen: async (id) => presentSync(() => isStill(groupOf(id))) ?? false,
    async kill(id) {
      // The signals take effect at the thaw, before anything else runs.
      for (const pid of await pids(id)) killProcess(pid);
      await thaw(id);
    },
    yieldStopped: (id, signal) => yieldStopped(groupOf(id), signal),
  };
}

async function freezeGroup(
  group: CgroupDirectory,
  heldUp: () => Promise<boolean>,
  signal: AbortSignal,
): Promise<void> {
  for (let tries = 1; ; tries++) {
    turn(group, true);
    const found = await watch(group, heldUp, signal);
    if (found === "still") return;
    if (found === "held up" || group.version === 1) turn(group, false);
    if (found === "held up") await delay(Math.min(tries, letGoMsMax), signal);
  }
}

async function watch(
  group: CgroupDirectory,
  heldUp: () => Promise<boolean>,
  signal: AbortSignal,
): Promise<"still" | "held up" | "moving"> {
  const startedAt = performance.now();
  for (let passed = 0; passed < retryMs; passed = performance.now() - startedAt) {
    const still = isStill(group);
    if ((still || passed >= eagerMs) && (await heldUp())) return "held up";
    if (still) return "still";
    await (passed < eagerMs ? setImmediate() : delay(pollMs, signal));
  }
  return "moving";
}

const files = {
  1: { state: "freezer.state", on: "FROZEN", off: "THAWED" },
  2: { state: "cgroup.freeze", on: "1", off: "0" },
} as const;

function turn({ version, path }: CgroupDirectory, isOn: boolean): void {
  const { state, on, off } = files[version];
  writeFileSync(join(path, state), isOn ? on : off, { flag: "r+" });
}

function isStill({ version, path }: CgroupDirectory): boolean {
  if (version === 1) return readFileSync(join(path, "freezer.state"), "utf8").trim() === "FROZEN";
  return /^frozen 1$/m.test(readFileSync(join(path, "cgroup.events"), "utf8"));
}

function explain(id: string, thrown: unknown): unknown {
  if (isDomainError(thrown, "deadline_exceeded")) {
    return new DomainError("deadline_exceeded", `sandbox ${id} cannot be frozen within ${freezeMs} ms`, {
      cause: thrown,
      hint: "one of its processes waits in the kernel, for a disk or a network file system say; try again later",
    });
  }
  const { code } = thrown as NodeJS.ErrnoException;
  if (code !== "ENOENT" && code !== "ENODEV") return thrown;
  return new DomainError("failed_precondition", `sandbox ${id} has ended: it has no control group any more`, {
    cause: thrown,
  });
}
