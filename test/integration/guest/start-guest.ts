/**
 * The real guest as PID 1 of its own namespaces, without containerd: a private /etc, a small file system to fill up,
 * loopback of its own.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { execa } from "execa";
import { connectGuest, type GuestClient } from "../../../src/guest-client/client.js";
import { waitUntil } from "../../../src/lib/signal.js";

export interface StartedGuest {
  readonly client: GuestClient;
  readonly socketPath: string;
  /** A directory that both sides see. */
  readonly dir: string;
  /** A tmpfs of 1 MiB inside the guest's mount namespace. */
  readonly smallDir: string;
  readonly exited: Promise<number | null>;
  stop(): Promise<void>;
}

const guestDir = resolve(import.meta.dirname, "../../../src/guest");
const binary = join(guestDir, "build/guest");

const inside = `
set -e
mount --bind "$RAMET_TEST_DIR/etc" /etc
mount -t tmpfs -o size=1m,mode=1777 tmpfs "$RAMET_TEST_DIR/small"
ip link set lo up
hostname before
exec "$RAMET_TEST_GUEST" --socket "$RAMET_TEST_DIR/guest.sock"
`;

/** Starts a guest and waits until it answers. */
export async function startGuest(): Promise<StartedGuest> {
  if (!existsSync(binary)) await execa("make", ["-C", guestDir, "build/guest"]);
  const dir = await mkdtemp(join(tmpdir(), "ramet-guest-"));
  await prepare(dir);
  const child = spawnInNamespaces(dir);
  const exited = once(child, "exit").then(([code]) => code as number | null);
  const socketPath = join(dir, "guest.sock");
  const client = connectGuest({ socketPath });
  await waitUntil(
    "the guest to answer",
    async (signal) => {
      if (child.exitCode !== null) throw new Error(`the guest ended with code ${child.exitCode}`);
      return existsSync(socketPath) && (await client.info(signal).catch(() => undefined)) !== undefined;
    },
    { intervalMs: 10, timeoutMs: 10_000 },
  );
  return {
    ...{ client, socketPath, dir, smallDir: join(dir, "small"), exited },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await exited;
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function prepare(dir: string): Promise<void> {
  await mkdir(join(dir, "etc"));
  await mkdir(join(dir, "small"));
  for (const file of ["passwd", "group"]) await copyFile(`/etc/${file}`, join(dir, "etc", file));
  await writeFile(join(dir, "etc/hostname"), "before\n");
  await writeFile(join(dir, "etc/hosts"), "127.0.0.1 localhost\n");
}

function spawnInNamespaces(dir: string): ChildProcess {
  const namespaces = [
    "--mount",
    "--pid",
    "--uts",
    "--ipc",
    "--net",
    "--fork",
    "--mount-proc",
    "--kill-child",
  ];
  return spawn("unshare", [...namespaces, "sh", "-c", inside], {
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", RAMET_TEST_DIR: dir, RAMET_TEST_GUEST: binary },
    stdio: ["ignore", "inherit", "inherit"],
  });
}
