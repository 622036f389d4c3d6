/** Where the node keeps things; all below the two configured directories. */
import { join } from "node:path";

export interface Paths {
  /** Everything of one sandbox: `guest/` is bind-mounted into it, `work/` has CRIU's restore log. */
  sandbox(id: string): string;
  guestDir(id: string): string;
  restoreWork(id: string): string;
  readonly sandboxes: string;
  /** A whole checkpoint; one in the making has `.partial` behind its name. */
  checkpoint(id: string): string;
  partial(id: string): string;
  readonly checkpoints: string;
  guestBinary(version: string): string;
  readonly criuConfig: string;
  readonly database: string;
}

/** Names inside a checkpoint's directory. */
export const checkpointFiles = { manifest: "manifest.json", images: "images", work: "work" } as const;

/** Debian mounts /run noexec, so what a sandbox executes (the guest) lives below the data directory. */
export function nodePaths({ dataDir, runDir }: { readonly dataDir: string; readonly runDir: string }): Paths {
  const sandboxes = join(dataDir, "sandboxes");
  const checkpoints = join(dataDir, "checkpoints");
  return {
    sandbox: (id) => join(sandboxes, id),
    guestDir: (id) => join(sandboxes, id, "guest"),
    restoreWork: (id) => join(sandboxes, id, "work"),
    sandboxes,
    checkpoint: (id) => join(checkpoints, id),
    partial: (id) => join(checkpoints, `${id}.partial`),
    checkpoints,
    guestBinary: (version) => join(dataDir, "guest", version, "guest"),
    criuConfig: join(runDir, "criu.conf"),
    database: join(dataDir, "agent.db"),
  };
}
