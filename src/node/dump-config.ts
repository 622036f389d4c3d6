/** CRIU's options for one dump, as the frozen sandbox calls for. */
import { readlink, writeFile } from "node:fs/promises";
import { criuConfig } from "../criu/config.js";
import { present } from "../lib/present.js";
import { hasConnections } from "./connections.js";
import type { Deps } from "./deps.js";

export async function writeDumpConfig(
  { freezer, paths }: Pick<Deps, "freezer" | "paths">,
  id: string,
): Promise<void> {
  const pids = await freezer.pids(id);
  const [connected, directories] = await Promise.all([hasConnections(pids), workingDirectories(pids)]);
  const config = criuConfig({ networkLock: connected ? "nftables" : "skip", scanFirst: directories });
  await writeFile(paths.criuConfig(id), config, { mode: 0o600 });
}

/** As the sandbox sees them. */
async function workingDirectories(pids: readonly number[]): Promise<string[]> {
  const links = await Promise.all(pids.slice(0, 100).map((pid) => present(readlink(`/proc/${pid}/cwd`))));
  return [...new Set(links.filter((link) => link !== undefined))];
}
