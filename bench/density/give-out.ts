/** What of the machine is used up. */
import { readFile } from "node:fs/promises";
import { readMeminfo } from "../memory.js";

export interface Supply {
  readonly what: string;
  readonly used: number;
  readonly limit: number;
}

/** Host uid of root in the sandboxes: the kernel counts keys by it. */
const uid = 100_000;
/** What the kernel and everybody else need to go on. */
const memoryReserve = 512 * 1024 * 1024;

export async function readSupplies(): Promise<Supply[]> {
  const [meminfo, loadavg, pidMax, threadsMax, keyUsers] = await Promise.all([
    readMeminfo(),
    ...["loadavg", "sys/kernel/pid_max", "sys/kernel/threads-max", "key-users"].map((name) =>
      readFile(`/proc/${name}`, "utf8").catch(() => ""),
    ),
  ]);
  const total = meminfo["MemTotal"] ?? 0;
  const threads = Number(/\/(\d+) /.exec(loadavg ?? "")?.[1] ?? 0);
  return [
    {
      what: "memory",
      used: total - (meminfo["MemAvailable"] ?? 0),
      limit: total - memoryReserve,
    },
    { what: "pids (kernel.pid_max)", used: threads, limit: Number(pidMax) },
    { what: "threads (kernel.threads-max)", used: threads, limit: Number(threadsMax) },
    ...keysOf(keyUsers ?? ""),
  ];
}

// uid: usage nkeys/nikeys qnkeys/maxkeys qnbytes/maxbytes (keyrings(7)).
function keysOf(keyUsers: string): Supply[] {
  const line = new RegExp(`^ *${uid}: +\\d+ \\S+ (\\d+)/(\\d+) (\\d+)/(\\d+)`, "m").exec(keyUsers);
  if (line === null) return [];
  const [keys, maxKeys, bytes, maxBytes] = line.slice(1).map(Number);
  return [
    { what: "kernel keys (kernel.keys.maxkeys)", used: keys ?? 0, limit: maxKeys ?? 0 },
    { what: "bytes of kernel keys (kernel.keys.maxbytes)", used: bytes ?? 0, limit: maxBytes ?? 0 },
  ];
}

/** The one nearest to its end, of those that are used to this share. */
export function givenOut(supplies: readonly Supply[], share: number): Supply | undefined {
  return supplies
    .filter(({ used, limit }) => limit > 0 && used >= share * limit)
    .sort((a, b) => b.used / b.limit - a.used / a.limit)[0];
}

export function describeSupply({ what, used, limit }: Supply): string {
  return `${what} gave out: ${used} of ${limit} are used`;
}
