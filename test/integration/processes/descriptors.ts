import { readdirSync, readlinkSync } from "node:fs";
import { waitUntil } from "../../../src/lib/signal.js";

/** Sockets that this process has open. */
export function openSockets(): number {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith("socket:");
    } catch {
      // The descriptor of the directory itself.
      return false;
    }
  }).length;
}

export async function untilSocketsAre(count: number): Promise<void> {
  await waitUntil(`${count} sockets, not ${openSockets()}`, () => openSockets() <= count, {
    intervalMs: 10,
    timeoutMs: 10_000,
  });
}
