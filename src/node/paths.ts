/** Where the node keeps things; all below its data directory. */
import { join } from "node:path";

export interface Paths {
  /** Everything of one sandbox: `guest/` is bind-mounted into it, `work/` has CRIU's restore log, `criu.conf` its options. */
  sandbox(id: string): string;
  guestDir(id: string): string;
  /** In the guest directory: files of shared memory. */
  memoryDir(id: string): string;
  /** In the guest directory: what processes see as the kernel's boot id. */
  bootId(id: string): string;
  restoreWork(id: string): string;
  /** CRIU's options for the sandbox, written before each dump and restore. */
  criuConfig(id: string): string;
  readonly sandboxes: string;
  /** Whole once it is recorded: what has no record is in the making, or left by a crash. */
  checkpoint(id: string): string;
  readonly checkpoints: string;
  guestBinary(version: string): string;
  /** An empty directory. */
  readonly empty: string;
  readonly database: string;
}

/** Names inside a checkpoint's directory. */
export const checkpointFiles = {
  manifest: "manifest.json",
  images: "images",
  memory: "memory",
  work: "work",
} as const;

/** Debian mounts /run noexec, so what a sandbox executes (the guest) lives below the data directory. */
export function nodePaths({ dataDir }: { readonly dataDir: string }): Paths {
  const sandboxes = join(dataDir, "sandboxes");
  const checkpoints = join(dataDir, "checkpoints");
  return {
    sandbox: (id) => join(sandboxes, id),
    guestDir: (id) => join(sandboxes, id, "guest"),
    memoryDir: (id) => join(sandboxes, id, "guest/memory"),
    bootId: (id) => join(sandboxes, id, "guest/boot_id"),
    restoreWork: (id) => join(sandboxes, id, "work"),
    criuConfig: (id) => join(sandboxes, id, "criu.conf"),
    sandboxes,
    checkpoint: (id) => join(checkpoints, id),
    checkpoints,
    guestBinary: (version) => join(dataDir, "guest", version, "guest"),
    empty: join(dataDir, "empty"),
    database: join(dataDir, "agent.db"),
  };
}
