/**
 * The memory limit of what is restored. CRIU works in the sandbox's control group, with a process of its own for each
 * that it brings back: what stood close to its limit when it was dumped needs more than it for a moment.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitUntil } from "../lib/signal.js";
import type { SandboxSpec } from "../sandbox/sandbox.js";
import { type CgroupMounts, cgroupDirectory, parseMembership } from "./cgroup.js";

const MiB = 1024 * 1024;
/** One of CRIU's processes has some hundred KiB of its own, and page tables. */
const spareBytes = 64 * MiB;
const sparePart = 1 / 4;

/** With room for CRIU; as it is where there is no limit. */
export function withSpareMemory(spec: SandboxSpec): SandboxSpec {
  const { memoryBytes } = spec.limits;
  if (memoryBytes === undefined) return spec;
  const spare = Math.ceil(memoryBytes * sparePart) + spareBytes;
  return { ...spec, limits: { ...spec.limits, memoryBytes: memoryBytes + spare } };
}

const files = { 1: "memory.limit_in_bytes", 2: "memory.max" } as const;
/** Version 1 refuses a limit while more than it is in use: pages of processes of CRIU's that are just ending. */
const settleMs = 2_000;

/** Takes that room away again, of the sandbox with this process. */
export async function limitMemory(mounts: CgroupMounts, pid: number, bytes: number): Promise<void> {
  const membership = parseMembership(readFileSync(`/proc/${pid}/cgroup`, "utf8"));
  const { version, path } = cgroupDirectory("memory", mounts, membership);
  const isSet = () => setLimit(join(path, files[version]), bytes);
  await waitUntil(`limiting memory to ${bytes} bytes`, isSet, { intervalMs: 10, timeoutMs: settleMs });
}

function setLimit(file: string, bytes: number): boolean {
  try {
    writeFileSync(file, String(bytes), { flag: "r+" });
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "EBUSY") return false;
    throw thrown;
  }
}
