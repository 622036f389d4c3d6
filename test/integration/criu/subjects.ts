/** Parents with a child, both with threads and memory of every kind, that are dumped and restored by CRIU alone. */
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { waitUntil } from "../../../src/lib/signal.js";
import { testRuntime } from "../../support/containerd.js";
import { buildProgram, childrenOf, quietEnv, reports, waitUntilQuiet } from "./memory.js";

export interface Subject {
  readonly parent: number;
  readonly child: number;
  /** Reports are files with this name and an ending. */
  readonly result: string;
  /** A directory for memory files. */
  readonly memory: string;
}

export const soon = (): AbortSignal => AbortSignal.timeout(60_000);

/** Words for the tests of a file; what they start is ended after each. */
export function openSubjects() {
  const criu = join(testRuntime().prefix, "bin/criu");
  const started = new Set<number>();
  let dir: string;
  let program: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "ramet-memory-"));
    program = await buildProgram(dir, "memory");
  });
  afterEach(() => {
    for (const parent of started) if (exists(-parent)) process.kill(-parent, "SIGKILL");
    started.clear();
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  /** What an earlier try of the same test has left. */
  async function forget(prefix: string): Promise<void> {
    const names = (await readdir(dir)).filter((name) => name.startsWith(prefix));
    for (const name of names) await rm(join(dir, name), { recursive: true });
  }

  return {
    directory: () => dir,

    async start(test: string, ...words: readonly string[]): Promise<Subject> {
      const result = join(dir, `${test}.result`);
      const memory = join(dir, `${test}.memory`);
      await forget(`${test}.`);
      await mkdir(memory);
      const options = { detached: true, stdio: "ignore", reject: false, env: quietEnv } as const;
      const parent = execa(program, [result, ...words], options).pid ?? 0;
      started.add(parent);
      await reports(result, ["parent-ready", "child-ready"], soon());
      const [child = 0] = await childrenOf(parent);
      for (const pid of [parent, child]) await waitUntilQuiet(pid, soon());
      return { parent, child, result, memory };
    },

    /** A process that has something open of every kind, with a child. */
    async startKinds(test: string): Promise<number> {
      const result = join(dir, `${test}.result`);
      await forget(`${test}.`);
      const words = [join(import.meta.dirname, "kinds.py"), result];
      const options = { detached: true, stdio: "ignore", reject: false, env: quietEnv } as const;
      // Debian's own, which is there wherever the tests run.
      const pid = execa("/usr/bin/python3", words, options).pid ?? 0;
      started.add(pid);
      await reports(result, ["ready"], soon());
      return pid;
    },

    /** Ends them as well. */
    async dump(parent: number, name: string): Promise<string> {
      const images = join(dir, `${name}.images`);
      await mkdir(images);
      const words = ["dump", "-t", String(parent), "-D", images, "-v4", "-o", "dump.log"];
      const { exitCode } = await execa(criu, words, { reject: false });
      expect(exitCode, exitCode === 0 ? "" : await logOf(images, "dump.log")).toBe(0);
      // Their ids are free when they have been waited for, which may take init a while.
      await waitUntil("their end", () => !exists(-parent), { intervalMs: 10, timeoutMs: 60_000 });
      started.delete(parent);
      return images;
    },

    async restore(images: string, parent: number): Promise<void> {
      const words = ["restore", "-d", "-D", images, "-v4", "-o", "restore.log"];
      const { exitCode } = await execa(criu, words, { reject: false, stdio: "ignore" });
      expect(exitCode, exitCode === 0 ? "" : await logOf(images, "restore.log")).toBe(0);
      started.add(parent);
    },

    /** Both look at their memory, use it, and end. */
    async useBoth({ parent, child, result }: Subject): Promise<void> {
      process.kill(parent, "SIGUSR1");
      process.kill(child, "SIGUSR1");
      expect(await reports(result, ["parent", "child"], soon())).toEqual(["ok", "ok"]);
    },
  };
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function logOf(images: string, name: string): Promise<string> {
  return (await readFile(join(images, name), "utf8")).slice(-3000);
}
