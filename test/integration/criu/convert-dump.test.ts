import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { readImage, writeImage } from "../../../src/criu/image/codec.js";
import { type ConvertedDump, convertDump } from "../../../src/criu/image/convert-dump.js";
import { waitUntil } from "../../../src/lib/signal.js";
import { testRuntime } from "../../support/containerd.js";
import {
  buildMemoryProgram,
  childrenOf,
  mappingsOf,
  memoryOf,
  quietEnv,
  reports,
  waitUntilQuiet,
} from "./memory.js";

const criu = join(testRuntime().prefix, "bin/criu");
const soon = () => AbortSignal.timeout(60_000);

let dir: string;
let program: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "ramet-memory-"));
  program = await buildMemoryProgram(dir);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const started = new Set<number>();
afterEach(() => {
  for (const pid of started) end(pid);
});

function end(pid: number): void {
  started.delete(pid);
  if (exists(-pid)) process.kill(-pid, "SIGKILL");
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** A parent and its child, both with threads, waiting. */
async function start(test: string) {
  const result = join(dir, `${test}.result`);
  const memory = join(dir, `${test}.memory`);
  await mkdir(memory);
  const subject = execa(program, [result], { detached: true, stdio: "ignore", reject: false, env: quietEnv });
  const parent = subject.pid ?? 0;
  started.add(parent);
  await reports(result, ["parent-ready", "child-ready"], soon());
  const [child = 0] = await childrenOf(parent);
  for (const pid of [parent, child]) await waitUntilQuiet(pid, soon());
  return { parent, child, result, memory };
}

async function dump(parent: number, name: string): Promise<string> {
  const images = join(dir, `${name}.images`);
  await mkdir(images);
  const words = ["dump", "-t", String(parent), "-D", images, "-v4", "-o", "dump.log"];
  const { exitCode } = await execa(criu, words, { reject: false });
  expect(exitCode, exitCode === 0 ? "" : await logOf(images, "dump.log")).toBe(0);
  // Their ids are free when they have been waited for, which may take init a while.
  await waitUntil("their end", () => !exists(-parent), { intervalMs: 10, timeoutMs: 20_000 });
  started.delete(parent);
  return images;
}

async function restore(images: string, parent: number): Promise<void> {
  const words = ["restore", "-d", "-D", images, "-v4", "-o", "restore.log"];
  const { exitCode } = await execa(criu, words, { reject: false, stdio: "ignore" });
  expect(exitCode, exitCode === 0 ? "" : await logOf(images, "restore.log")).toBe(0);
  started.add(parent);
}

async function logOf(images: string, name: string): Promise<string> {
  return (await readFile(join(images, name), "utf8")).slice(-3000);
}

const convert = (images: string, memory: string, checkpoint: string): Promise<ConvertedDump> =>
  convertDump({ images, memory, checkpoint, mountPath: memory }, soon());

async function memoryOfBoth({ parent, child }: { parent: number; child: number }) {
  const ranges = { parent: await mappingsOf(parent), child: await mappingsOf(child) };
  const now = async () => ({
    parent: await memoryOf(parent, ranges.parent),
    child: await memoryOf(child, ranges.child),
  });
  return { before: await now(), now };
}

/** Both look at their memory, use it, and end. */
async function useBoth(parent: number, child: number, result: string): Promise<void> {
  process.kill(parent, "SIGUSR1");
  process.kill(child, "SIGUSR1");
  expect(await reports(result, ["parent", "child"], soon())).toEqual(["ok", "ok"]);
}

describe("a converted dump", () => {
  it("restores to the same memory, of which almost nothing is read", async () => {
    const { parent, child, result, memory } = await start("same");
    const { before, now } = await memoryOfBoth({ parent, child });
    const images = await dump(parent, "same");
    const { processes, earlier } = await convert(images, memory, "c1");
    expect(earlier).toEqual([]);
    expect(processes.map(({ pid }) => pid)).toEqual([parent, child].sort((a, b) => a - b));
    for (const { file, movedPages, keptPages } of processes) {
      expect(movedPages).toBeGreaterThan(2500);
      expect(keptPages).toBeLessThan(500);
      const { size, mode, blocks } = await stat(join(memory, file?.name ?? ""));
      expect({ size, mode }).toEqual({ size: file?.bytes, mode: 0o100400 });
      expect(blocks * 512).toBeLessThan(size);
    }
    await restore(images, parent);
    expect(await now()).toEqual(before);
    const paths = (await mappingsOf(parent)).map(({ path }) => path);
    expect(paths).toContain(join(memory, `c1-${parent}`));
    await useBoth(parent, child, result);
  });

  it("of a restored process has only what changed since", async () => {
    const { parent, child, result, memory } = await start("again");
    const { before, now } = await memoryOfBoth({ parent, child });
    const first = await dump(parent, "again-1");
    await convert(first, memory, "c1");
    await restore(first, parent);
    const second = await dump(parent, "again-2");
    const { processes, earlier } = await convert(second, memory, "c2");
    expect(earlier).toEqual([`c1-${child}`, `c1-${parent}`].sort());
    for (const { movedPages, keptPages } of processes) expect(movedPages + keptPages).toBeLessThan(700);
    await restore(second, parent);
    expect(await now()).toEqual(before);
    await useBoth(parent, child, result);
  });

  it("cannot be converted again, and is as it was then", async () => {
    const { parent, child, result, memory } = await start("twice");
    const images = await dump(parent, "twice");
    await convert(images, memory, "c1");
    await expect(convert(images, memory, "c1")).rejects.toMatchObject({ code: "failed_precondition" });
    await restore(images, parent);
    await useBoth(parent, child, result);
  });
});

it("killed between its steps, it leaves a dump that restores to the same memory", async () => {
  const { parent, child, result, memory } = await start("killed");
  const { before, now } = await memoryOfBoth({ parent, child });
  const images = await dump(parent, "killed");
  const old = join(dir, "killed.old");
  await execa("cp", ["-a", images, old]);
  await convert(images, memory, "c1");
  // The mappings are switched, the page map is not yet.
  for (const name of await readdir(old))
    if (/^(pagemap|pages)-/.test(name)) await copyFile(join(old, name), join(images, name));
  await restore(images, parent);
  expect(await now()).toEqual(before);
  await useBoth(parent, child, result);
});

it("every image of a dump is written as it was read", async () => {
  const { parent } = await start("written");
  const images = await dump(parent, "written");
  for (const name of await readdir(images)) {
    const kind = (["core", "mm", "pagemap", "files", "pstree", "seccomp"] as const).find((kind) =>
      name.startsWith(kind),
    );
    if (kind === undefined) continue;
    const bytes = await readFile(join(images, name));
    expect(writeImage(kind, readImage(bytes, kind, name)).equals(bytes), name).toBe(true);
  }
});
