/** The memoryd of a test node, and its serving processes, as the host sees them. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Who listens at the socket. */
export function memorydAt(socket: string): number {
  const sockets = readFileSync("/proc/net/unix", "utf8").split("\n");
  const inode = sockets.find((line) => line.endsWith(` ${socket}`))?.split(/ +/)[6];
  const pid = processes().find((candidate) => holds(candidate, `socket:[${inode}]`));
  if (inode === undefined || pid === undefined) throw new Error(`nobody listens at ${socket}`);
  return pid;
}

/** The processes that it has, each for a sandbox. */
export const serversOf = (memoryd: number): number[] =>
  processes().filter((pid) => {
    try {
      return new RegExp(`^PPid:\t${memoryd}$`, "m").test(readFileSync(`/proc/${pid}/status`, "utf8"));
    } catch {
      return false;
    }
  });

const processes = () => readdirSync("/proc").map(Number).filter(Number.isInteger);

function holds(pid: number, target: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === target);
  } catch {
    // It has ended since, or has closed one.
    return false;
  }
}
