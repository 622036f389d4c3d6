/**
 * The TCP connections of a sandbox. CRIU rebuilds one end after the other, and what the kernel still has to send
 * would meet an end that is not there yet, whose answer is a reset. So while there are any, nothing may move.
 */
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { present, presentSync } from "../lib/present.js";

/** Whether the network namespace of these processes has TCP connections, IPv4 or IPv6. */
export async function hasConnections(pids: readonly number[]): Promise<boolean> {
  for (const pid of pids) {
    const counters = ["snmp", "sockstat", "sockstat6"].map((name) =>
      presentSync(() => readFileSync(`/proc/${pid}/net/${name}`, "utf8")),
    );
    // No counters: the process has ended, and another one knows.
    if (counters[0] === undefined) continue;
    const known = countersShow(counters.join("\n"));
    if (known !== undefined) return known;
    const tables = await Promise.all(
      ["tcp", "tcp6"].map((name) => present(readFile(`/proc/${pid}/net/${name}`, "utf8"))),
    );
    return tables.some((table) => table !== undefined && tableShows(table));
  }
  return false;
}

/**
 * Of /proc/PID/net/{snmp,sockstat,sockstat6}. Undefined when there are sockets and none of them is established:
 * they listen, or are half closed. The tables tell, for which the kernel walks the sockets of the whole host
 * (12 ms here), so they are read only then.
 */
export function countersShow(counters: string): boolean | undefined {
  const [names = [], values = []] = counters
    .split("\n")
    .filter((line) => line.startsWith("Tcp: "))
    .map((line) => line.split(" "));
  if (Number(values[names.indexOf("CurrEstab")]) > 0) return true;
  const sockets = [...counters.matchAll(/^TCP6?: inuse (\d+)/gm)].map(([, count]) => Number(count));
  return sockets.length > 0 && sockets.every((count) => count === 0) ? false : undefined;
}

/** States as the kernel numbers them (proc_net_tcp): these two need nothing of a peer. */
const idle: ReadonlySet<string> = new Set(["06" /* TIME_WAIT */, "0A" /* LISTEN */]);

/** Of /proc/PID/net/tcp: a line for each socket, with its state in the fourth column. */
export function tableShows(table: string): boolean {
  return table
    .split("\n")
    .slice(1)
    .some((line) => {
      const state = line.trim().split(/\s+/)[3];
      return state !== undefined && !idle.has(state);
    });
}
