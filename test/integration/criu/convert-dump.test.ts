import { copyFile, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { readImage, writeImage } from "../../../src/criu/image/codec.js";
import { type ConvertedDump, convertDump } from "../../../src/criu/image/convert-dump.js";
import { parseMessage, serializeMessage } from "../../../src/criu/image/message.js";
import { waitUntil } from "../../../src/lib/signal.js";
import { childrenOf, mappingsOf, memoryOf, waitUntilQuiet } from "./memory.js";
import { openSubjects, soon } from "./subjects.js";

const { start, dump, restore, useBoth } = openSubjects();

const convert = (images: string, memory: string, checkpoint: string): Promise<ConvertedDump> =>
  convertDump(
    { images, memory, earlierMemory: memory, checkpoint, memoryPath: memory, mountPath: memory },
    soon(),
  );

async function memoryOfBoth({ parent, child }: { parent: number; child: number }) {
  const ranges = { parent: await mappingsOf(parent), child: await mappingsOf(child) };
  const now = async () => ({
    parent: await memoryOf(parent, ranges.parent),
    child: await memoryOf(child, ranges.child),
  });
  return { before: await now(), now };
}

describe("a converted dump", () => {
  it("restores to the same memory, of which almost nothing is read", async () => {
    const subject = await start("same");
    const { parent, child, memory } = subject;
    const { before, now } = await memoryOfBoth({ parent, child });
    const images = await dump(parent, "same");
    const { processes, earlier } = await convert(images, memory, "c1");
    expect(earlier).toEqual([]);
    expect(processes.map(({ pid }) => pid)).toEqual([parent, child].sort((a, b) => a - b));
    for (const { file, movedPages, keptPages } of processes) {
      expect(movedPages).toBeGreaterThan(2500);
      expect(keptPages).toBeLessThan(500);
      const { size, mode, blocks } = await stat(join(memory, file?.name ?? ""));
      expect({ size, mode }).toEqual({ size: file?.bytes, mode: 0o100440 });
      expect(blocks * 512).toBeLessThanOrEqual(size);
    }
    await restore(images, parent);
    expect(await now()).toEqual(before);
    const paths = (await mappingsOf(parent)).map(({ path }) => path);
    expect(paths).toContain(join(memory, `c1-${parent}`));
    await useBoth(subject);
  });

  it("of a restored process has only what changed since", async () => {
    const subject = await start("again");
    const { parent, child, memory } = subject;
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
    await useBoth(subject);
  });

  it("whose process forked since is right in both: they map the same earlier file", async () => {
    const { parent, child, memory } = await start("forked");
    const first = await dump(parent, "forked-1");
    await convert(first, memory, "c1");
    await restore(first, parent);
    process.kill(parent, "SIGUSR2");
    const younger = async () => (await childrenOf(parent)).find((pid) => pid !== child) ?? 0;
    const wait = { intervalMs: 10, timeoutMs: 10_000 };
    await waitUntil("another child", async () => (await younger()) !== 0, wait, soon());
    const pair = { parent, child: await younger() };
    for (const pid of Object.values(pair)) await waitUntilQuiet(pid, soon());
    const { before, now } = await memoryOfBoth(pair);
    expect(before.parent).not.toEqual(before.child);
    const second = await dump(parent, "forked-2");
    await convert(second, memory, "c2");
    await restore(second, parent);
    expect(await now()).toEqual(before);
  });

  it("cannot be converted again, and is as it was then", async () => {
    const subject = await start("twice");
    const { parent, memory } = subject;
    const images = await dump(parent, "twice");
    await convert(images, memory, "c1");
    await expect(convert(images, memory, "c1")).rejects.toMatchObject({ code: "failed_precondition" });
    await restore(images, parent);
    await useBoth(subject);
  });
});

it("killed between its steps, it leaves a dump that restores to the same memory", async () => {
  const subject = await start("killed");
  const { parent, child, memory } = subject;
  const { before, now } = await memoryOfBoth({ parent, child });
  const images = await dump(parent, "killed");
  const old = `${images}.old`;
  await execa("cp", ["-a", images, old]);
  await convert(images, memory, "c1");
  // The mappings are switched, the page map is not yet.
  for (const name of await readdir(old))
    if (/^(pagemap|pages)-/.test(name)) await copyFile(join(old, name), join(images, name));
  await restore(images, parent);
  expect(await now()).toEqual(before);
  await useBoth(subject);
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
    const messages = readImage(bytes, kind, name).map((message) => parseMessage(message, name));
    expect(writeImage(kind, messages.map(serializeMessage)).equals(bytes), name).toBe(true);
  }
});
