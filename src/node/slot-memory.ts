/**
 * What a warm slot counts with in `slots.memory_mib`: all that would be free without it. Memory files are not in it:
 * they are their checkpoint's, the same for all its slots, and page cache that goes when it must.
 */
import type { Deps } from "./deps.js";
import { readBytesOf } from "./shared-memory.js";
import { readHeldBytes } from "./stats.js";

const MiB = 1024 * 1024;
/**
 * No control group of the slot's is charged for it: its part of the shim (0.33 MiB), containerd (0.1) and memoryd
 * (0.05), and what the kernel has of it (slab, stacks: 0.2 to 0.4). Measured with 16 slots, in this order.
 */
const outsideBytes = 1 * MiB;
/**
 * Beside what a restore reads: guest, kernel, and pages that it changes. Measured are 0.3 MiB for a template of
 * nothing but the guest, and less than 1 with 64 MiB of shared memory.
 */
const startBytes = 1 * MiB;
/** A page table entry for each page that is read. */
const pageTableShare = 8 / 4096;

/** Of one that is there; of process `pid`. */
export async function slotBytes({ cgroups }: Pick<Deps, "cgroups">, pid: number): Promise<number> {
  return (await readHeldBytes(cgroups, pid)) + outsideBytes;
}

/** Of one that is to be restored from the checkpoint, before there has been any. */
export async function likelySlotBytes(deps: Pick<Deps, "paths">, checkpoint: string): Promise<number> {
  const read = await readBytesOf(deps, checkpoint);
  return Math.ceil(read * (1 + pageTableShare)) + startBytes + outsideBytes;
}
