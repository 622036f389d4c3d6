/** The memoryd of a test node, and its serving processes, as the host sees them. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Who listens at the socket. */
export function memorydAt(socket: string): number {
  const sockets = readFileSync("/proc/net/unix", "utf8").split("\n");
  const inode = sockets.find((line) => line.endsWith(` ${socket}`))?.split(/ +/)[6];
  const pid = processes().find((candidate) => holds(candidate, new RegExp(`^socket:\\[${inode}\\]$`)));
  if (inode === undefined || pid === undefined) throw new Error(`nobody listens at ${socket}`);
  return pid;
}

/** Those that were started to listen there, also where nobody can reach them any more. */
export const listenersAt = (socket: string): number[] =>
  processes().filter((pid) => commandOf(pid).endsWith(`\0${socket}\0`) && holds(pid, /^socket:/));

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
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

function holds(pid: number, target: RegExp): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => target.test(readlinkSync(`/proc/${pid}/fd/${fd}`)));
  } catch {
    // It has ended since, or has closed one.
    return false;
  }
}
