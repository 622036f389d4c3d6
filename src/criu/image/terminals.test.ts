import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { readImage, writeImage } from "./codec.js";
import { numberField, serializeMessage } from "./message.js";
import { returnTerminals, withLiveGroups } from "./terminals.js";

const message = (...numbers: readonly number[]) =>
  serializeMessage(numbers.map((value, index) => numberField(index + 1, value)));
const process = (pid: number, group: number, session: number) => message(pid, 1, group, session, pid);
const terminal = (session: number, group: number) => message(8, 1, 0, 0, 0, session, group, 34_816);

/** A guest; a shell with a job. */
const processes = [process(1, 1, 1), process(15, 15, 15), process(171, 171, 15)];

it.each([
  ["the shell's own", terminal(15, 15)],
  ["a job's", terminal(15, 171)],
  ["nobody's", terminal(0, 0)],
  ["one of a session without its leader", terminal(14, 169)],
])("leaves a terminal as it is that is %s", (_whose, as) => {
  expect(withLiveGroups([as], processes)).toBeUndefined();
});

it("gives the terminal of a group that has ended to the leader of its session", () => {
  expect(withLiveGroups([terminal(15, 171), terminal(15, 169)], processes)).toEqual([
    terminal(15, 171),
    terminal(15, 15),
  ]);
  expect(withLiveGroups([terminal(15, 169)], [process(15, 1, 15)])).toEqual([terminal(15, 1)]);
});

it("changes a dump's images where it has to, and looks at none without terminals", async () => {
  const images = await mkdtemp(join(tmpdir(), "terminals-"));
  try {
    await returnTerminals(images);
    await writeFile(join(images, "tty-info.img"), writeImage("terminals", [terminal(15, 169)]));
    await expect(returnTerminals(images)).rejects.toMatchObject({ code: "failed_precondition" });
    await writeFile(join(images, "pstree.img"), writeImage("pstree", processes));
    await returnTerminals(images);
    const changed = await readFile(join(images, "tty-info.img"));
    expect(readImage(changed, "terminals", "tty-info.img")).toEqual([terminal(15, 15)]);
  } finally {
    await rm(images, { recursive: true });
  }
});
