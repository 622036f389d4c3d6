import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type ConvertedDump, convertDump } from "../../../src/criu/image/convert-dump.js";
import { guardProcesses } from "../../../src/criu/image/guard.js";
import { linkMemory } from "../../../src/criu/image/link-memory.js";
import { kindsBox, memoryBox, openBoxes } from "./boxes.js";
import { hasCrit, type ShownDump, show } from "./crit.js";
import { onlyConverted, onlyGuarded } from "./crit-changes.js";
import { bothReadTheSame, bothWriteTheSame } from "./crit-fields.js";
import { takeListener } from "./listener.js";
import { buildProgram } from "./memory.js";
import { openSubjects, soon } from "./subjects.js";

const kindsOfPlain = ["core", "files", "mm", "pagemap", "pstree", "seccomp"];
const kindsOfAll = ["core", "files", "mm", "mounts", "pagemap", "pstree", "seccomp"];
const withPayload = ["FIFO_DATA", "GHOST_FILE", "MEMFD_INODE", "PIPES_DATA", "SK_QUEUES"];

/** Whatever crit and our code can both say of a dump. Gives what crit shows, and the kinds that ours has read. */
async function agree(images: string): Promise<{ shown: ShownDump; kinds: string[] }> {
  const shown = await show(images);
  // Pages have no frame, the content of a tmpfs is an archive, and one file is runc's.
  const foreign = /^(pages-\d+\.img|tmpfs-dev-\d+\.tar\.gz\.img|descriptors\.json)$/;
  expect([...shown.others.keys()].filter((name) => !foreign.test(name))).toEqual([]);
  const kinds = await bothWriteTheSame(images, shown);
  await bothReadTheSame(images, shown);
  return { shown, kinds };
}

/** Guards and converts a dump, and looks at each step that it has only done what it is for. */
async function change(images: string, memoryPath: string, convert: () => Promise<ConvertedDump>) {
  const dumped = await agree(images);
  const guards = await guardProcesses({ images }, soon());
  expect(guards.flatMap(({ listeners }) => listeners)).toEqual(guards.map(({ pid }) => pid));
  const guarded = await agree(images);
  onlyGuarded(dumped.shown, guarded.shown, guards);
  const converted = await convert();
  onlyConverted(guarded.shown, (await agree(images)).shown, converted, memoryPath);
  return converted;
}

const magicsOf = ({ images }: ShownDump) => [...images.values()].map(({ magic }) => magic);
const filesOf = ({ processes }: ConvertedDump) => processes.flatMap(({ file }) => file?.name ?? []);

describe.skipIf(!hasCrit())("crit and our code agree (needs scripts/install-crit)", () => {
  describe("on dumps of plain processes", () => {
    const { directory, start, startKinds, dump, restore } = openSubjects();
    let listener: string;
    beforeAll(async () => {
      listener = await buildProgram(directory(), "listener");
    });

    it("with something open of every kind", async () => {
      const { shown, kinds } = await agree(await dump(await startKinds("kinds"), "kinds"));
      expect(kinds).toEqual(kindsOfPlain);
      expect(magicsOf(shown)).toEqual(expect.arrayContaining(withPayload));
    });

    it("that are guarded and converted, over two generations", async () => {
      const { parent, child, memory } = await start("generations");
      const convert = (images: string, checkpoint: string) =>
        convertDump(
          { images, memory, earlierMemory: memory, checkpoint, memoryPath: memory, mountPath: memory },
          soon(),
        );
      const first = await dump(parent, "generations-1");
      expect(filesOf(await change(first, memory, () => convert(first, "c1")))).toHaveLength(2);
      await restore(first, parent);
      for (const pid of [parent, child]) await takeListener(listener, pid, soon());
      const second = await dump(parent, "generations-2");
      const { earlier } = await change(second, memory, () => convert(second, "c2"));
      expect(earlier).toHaveLength(2);
    });
  });

  describe("on dumps of containers", () => {
    const { directory, mountPath, start, dump, convert } = openBoxes("ramet-crit-test");
    let listener: string;
    beforeAll(async () => {
      listener = await buildProgram(directory(), "listener");
    });

    it("with something open of every kind", async () => {
      const { shown, kinds } = await agree(await dump(await start(kindsBox)));
      expect(kinds).toEqual(kindsOfAll);
      expect(magicsOf(shown)).toEqual(expect.arrayContaining([...withPayload, "IPCNS_SEM", "IPCNS_MSG"]));
    });

    it("that are guarded and converted, over two generations", async () => {
      const first = await dump(await start(memoryBox));
      const shared = join(directory(), "c1");
      await mkdir(shared);
      const names = filesOf(await change(first, mountPath, () => convert(first, shared, "c1")));
      expect(names).toHaveLength(2);
      const clone = await start(memoryBox, first, (memory) => linkMemory(shared, memory, names));
      for (const pid of clone.pids) await takeListener(listener, pid, soon());
      const second = await dump(clone);
      const { earlier } = await change(second, mountPath, () => convert(second, clone.memory, "c2"));
      expect(earlier).toHaveLength(2);
    });
  });
});
