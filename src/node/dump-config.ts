/** CRIU's options for one dump, as the frozen sandbox calls for: it stands still until they are written. */
import { readlinkSync, writeFileSync } from "node:fs";
import { criuConfig } from "../criu/config.js";
import { presentSync } from "../lib/present.js";
import { hasConnections } from "./connections.js";
import type { Deps } from "./deps.js";

export async function writeDumpConfig(
  { freezer, paths }: Pick<Deps, "freezer" | "paths">,
  id: string,
): Promise<void> {
  const pids = await freezer.pids(id);
  const networkLock = (await hasConnections(pids)) ? "nftables" : "skip";
  const config = criuConfig({ networkLock, scanFirst: workingDirectories(pids) });
  writeFileSync(paths.criuConfig(id), config, { mode: 0o600 });
}

/** As the sandbox sees them. */
function workingDirectories(pids: readonly number[]): string[] {
  const links = pids.slice(0, 100).map((pid) => presentSync(() => readlinkSync(`/proc/${pid}/cwd`)));
  return [...new Set(links.filter((link) => link !== undefined))];
}
