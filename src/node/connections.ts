/**
 * The TCP connections of a sandbox. CRIU rebuilds one end after the other, and what the kernel still has to send
 * would meet an end that is not there yet, whose answer is a reset. So while there are any, nothing may move.
 */
import { readFile } from "node:fs/promises";
import { present } from "../lib/present.js";

/** Whether the network namespace of these processes has TCP connections, IPv4 or IPv6. */
export async function hasConnections(pids: readonly number[]): Promise<boolean> {
  for (const pid of pids) {
    const tables = await Promise.all(["tcp", "tcp6"].map((name) => readTable(pid, name)));
    // Neither: the process has ended, and another one knows.
    if (tables.every((table) => table === undefined)) continue;
    return tables.some((table) => table !== undefined && showsConnections(table));
  }
  return false;
}

function readTable(pid: number, name: string): Promise<string | undefined> {
  return present(readFile(`/proc/${pid}/net/${name}`, "utf8"));
}

/** States as the kernel numbers them (proc_net_tcp): these two need nothing of a peer. */
const idle: ReadonlySet<string> = new Set(["06" /* TIME_WAIT */, "0A" /* LISTEN */]);

/** Of /proc/PID/net/tcp: a line for each socket, with its state in the fourth column. */
export function showsConnections(table: string): boolean {
  return table
    .split("\n")
    .slice(1)
    .some((line) => {
      const state = line.trim().split(/\s+/)[3];
      return state !== undefined && !idle.has(state);
    });
}
