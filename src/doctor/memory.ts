/** Whether sandboxes can share memory, and whether what they share is still there. */
import { readdir, readlink, stat } from "node:fs/promises";
import { machine } from "node:os";
import { fileURLToPath } from "node:url";
import { shipped } from "../lib/shipped.js";
import { failure, type Judgement, ok, warning } from "./finding.js";
import type { Host } from "./host.js";

const memoryPath = "/.ramet/memory/";
const binary = fileURLToPath(shipped("memoryd/memoryd"));

export async function checkSharedMemory(host: Host): Promise<Judgement> {
  const { sharing, memorydSocket } = host.config.memory;
  const harmed = judgeMappings(await mappings(host));
  if (harmed !== undefined) return harmed;
  if (sharing === "off") return ok("off, by memory.sharing");
  if (machine() !== "x86_64") return unshared(`memoryd is for x86-64 alone, and this is ${machine()}`);
  if (memorydSocket !== undefined) return ok(`by the memoryd at ${memorydSocket}`);
  const { exitCode, complaint } = await host.run(binary, ["--check"]);
  return exitCode === 0 ? ok("clones of a checkpoint map the same memory") : unshared(complaint);
}

function unshared(why: string): Judgement {
  return warning(
    `not shared: ${why}`,
    "each restore reads a copy of its own; see docs/memoryd.md for what it needs",
  );
}

/** A mapping of a memory file by a process, and the file as it is now. */
export interface Mapping {
  readonly pid: number;
  /** Its id; undefined for a process that is in no control group of ours. */
  readonly sandbox: string | undefined;
  readonly name: string;
  readonly isDeleted: boolean;
  /** Last byte of the file that is mapped. */
  readonly end: number;
  /** Undefined when it cannot be looked at. */
  readonly fileBytes: number | undefined;
}

/** The agent never takes away or shortens what is mapped: somebody did it by hand. */
export function judgeMappings(found: readonly Mapping[]): Judgement | undefined {
  const short = found.filter(({ fileBytes, end }) => fileBytes !== undefined && fileBytes < end);
  const lost = found.filter(({ isDeleted }) => isDeleted);
  const says = (what: string, of: readonly Mapping[]) => {
    const names = [...new Set(of.map(({ name }) => name))];
    return names.length === 0 ? [] : [`${what}: ${names.slice(0, 5).join(", ")}`];
  };
  const problems = [
    ...says("memory files were shortened, and processes that map them will die", short),
    ...says("memory files were removed, and sandboxes that map them cannot be dumped", lost),
  ];
  if (problems.length === 0) return undefined;
  const whose = [
    ...new Set([...short, ...lost].map(({ sandbox, pid }) => sandbox ?? `that of process ${pid}`)),
  ];
  return failure(
    problems.join("; "),
    `save what can be saved (\`ramet commit\`), then delete these sandboxes: ${whose.slice(0, 10).join(", ")}`,
  );
}

/** Of /proc/PID/cgroup. */
export function sandboxOf(membership: string): string | undefined {
  return /:\/ramet\/([^/\n]+)/.exec(membership)?.[1];
}

/** As processes have them, in maps (proc_pid_maps(5)). */
export function parseMappings(pid: number, maps: string): Omit<Mapping, "fileBytes" | "sandbox">[] {
  return [...maps.matchAll(mapLine)].map(([, start = "0", stop = "0", offset = "0", name = "", deleted]) => ({
    pid,
    name,
    isDeleted: deleted !== undefined,
    end: Number.parseInt(offset, 16) + Number.parseInt(stop, 16) - Number.parseInt(start, 16),
  }));
}

const mapLine =
  /^([0-9a-f]+)-([0-9a-f]+) \S+ ([0-9a-f]+) \S+ \d+\s+\/\.ramet\/memory\/(\S+?)( \(deleted\))?$/gm;

async function mappings(host: Host): Promise<Mapping[]> {
  const found: Mapping[] = [];
  const own = await readlink("/proc/self/ns/mnt");
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number)) {
    host.signal.throwIfAborted();
    // Those of this mount namespace are in no sandbox.
    if ((await readlink(`/proc/${pid}/ns/mnt`).catch(() => own)) === own) continue;
    const maps = (await host.read(`/proc/${pid}/maps`)) ?? "";
    if (!maps.includes(memoryPath)) continue;
    const sandbox = sandboxOf((await host.read(`/proc/${pid}/cgroup`)) ?? "");
    for (const mapping of parseMappings(pid, maps)) {
      const file = await stat(`/proc/${pid}/root${memoryPath}${mapping.name}`).catch(() => undefined);
      found.push({ ...mapping, sandbox, fileBytes: file?.size });
    }
  }
  return found;
}
