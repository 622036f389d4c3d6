import { readdir, readFile } from "node:fs/promises";
import { beforeAll, expect, it } from "vitest";
import { convertDump } from "../../../src/criu/image/convert-dump.js";
import { guardProcesses } from "../../../src/criu/image/guard.js";
import { listen, listenersOf } from "./listener.js";
import { buildProgram } from "./memory.js";
import { openSubjects, soon } from "./subjects.js";

const { directory, start, dump, restore, useBoth } = openSubjects();

let listener: string;
beforeAll(async () => {
  listener = await buildProgram(directory(), "listener");
});

/** Of each thread: its mode of seccomp and how many filters it has. */
async function filtersOf(pid: number): Promise<string[]> {
  const tids = await readdir(`/proc/${pid}/task`);
  const texts = await Promise.all(tids.map((tid) => readFile(`/proc/${pid}/task/${tid}/status`, "utf8")));
  return texts.map((text) => [...text.matchAll(/^Seccomp\w*:\s*(\d+)$/gm)].map(([, n]) => n).join(" "));
}

const madvise = 28;
const mremap = 25;

it("a guarded process hands over what would show the file, in all of its threads", async () => {
  const subject = await start("guarded", "guarded");
  const { parent, child, memory } = subject;
  const images = await dump(parent, "guarded");
  expect(await guardProcesses({ images }, soon())).toEqual([
    { pid: parent, listeners: [parent] },
    { pid: child, listeners: [child] },
  ]);
  await convertDump(
    { images, memory, earlierMemory: memory, checkpoint: "c1", memoryPath: memory, mountPath: memory },
    soon(),
  );
  await restore(images, parent);
  for (const pid of [parent, child]) {
    expect(await filtersOf(pid)).toEqual(["2 1", "2 1", "2 1"]);
    expect(await listenersOf(pid)).toBe(1);
  }
  const heard = [await listen(listener, parent), await listen(listener, child)];
  await useBoth(subject);
  expect(await Promise.all(heard.map(({ calls }) => calls))).toEqual([
    new Set([madvise, mremap]),
    new Set([madvise, mremap]),
  ]);
});
