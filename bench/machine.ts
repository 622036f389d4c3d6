/** The machine and the versions that a run was made with. */
import { readFile } from "node:fs/promises";
import { cpus, release, totalmem } from "node:os";
import type { Api } from "../src/cli/client.js";
import { run } from "./run.js";

export type Machine = Readonly<Record<string, string | number>>;

export async function describeMachine(api: Api, dataDirectory: string): Promise<Machine> {
  const info = await api.node.info({});
  const osRelease = await readFile("/etc/os-release", "utf8");
  const processors = cpus();
  return {
    processor: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    kernel: release(),
    distribution: /^PRETTY_NAME="?([^"\n]*)/m.exec(osRelease)?.[1] ?? "unknown",
    cgroups: info.cgroups,
    dataFileSystem: (await run("stat", ["--file-system", "--format", "%T", dataDirectory])).trim(),
    ramet: info.version,
    containerd: info.containerdVersion,
    runc: info.runcVersion,
    criu: info.criuVersion,
    podman: (await run("podman", ["--version"])).trim().replace("podman version ", ""),
    node: process.version,
  };
}
