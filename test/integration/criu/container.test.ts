import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { beforeAll, expect, it } from "vitest";
import { guardProcesses } from "../../../src/criu/image/guard.js";
import { linkMemory } from "../../../src/criu/image/link-memory.js";
import { type Box, memoryBox, openBoxes } from "./boxes.js";
import { buildProgram, type Mapping, mappingsOf, memoryOf, reports } from "./memory.js";
import { soon } from "./subjects.js";

const { directory, mountPath, start, dump, convert } = openBoxes("ramet-memory-test");

let listener: string;
beforeAll(async () => {
  listener = await buildProgram(directory(), "listener");
});

async function memories({ pids }: Box, ranges?: readonly (readonly Mapping[])[]) {
  return Promise.all(pids.map((pid, index) => memoryOf(pid, ranges?.[index])));
}

it("clones in user namespaces share memory over generations, and are guarded", async () => {
  const source = await start(memoryBox);
  const ranges = await Promise.all(source.pids.map(mappingsOf));
  const before = await memories(source, ranges);

  const first = await dump(source);
  const shared = join(directory(), "c1");
  await mkdir(shared);
  const { processes } = await convert(first, shared, "c1");
  const old = processes.flatMap(({ file }) => file?.name ?? []).sort();
  expect(old).toHaveLength(2);
  const clone = await start(memoryBox, first, (memory) => linkMemory(shared, memory, old));
  expect(await memories(clone, ranges)).toEqual(before);
  const paths = (await mappingsOf(clone.pids[0] ?? 0)).map(({ path }) => path);
  expect(paths).toContain(`${mountPath}/c1-1`);

  const second = await dump(clone);
  await guardProcesses({ images: second }, soon());
  const again = await convert(second, clone.memory, "c2");
  expect(again.earlier).toEqual(old);
  const names = again.processes.flatMap(({ file }) => file?.name ?? []);
  for (const { keptPages } of again.processes) expect(keptPages).toBeLessThan(500);
  const last = await start(memoryBox, second, (memory) =>
    linkMemory(clone.memory, memory, [...again.earlier, ...names]),
  );
  expect(await memories(last, ranges)).toEqual(before);

  for (const pid of last.pids)
    expect(await readFile(`/proc/${pid}/status`, "utf8")).toMatch(/Seccomp_filters:\s+2/);
  const listening = last.pids.map((pid) => execa(listener, [String(pid)], { reject: false }));
  for (const pid of last.pids) process.kill(pid, "SIGUSR1");
  expect(await reports(last.result, ["parent", "child"], soon())).toEqual(["ok", "ok"]);
  for (const { stdout } of await Promise.all(listening)) expect(stdout.split("\n")).toContain("28");
});
