/** Checkpoints bring back memory and files of one instant; their lineage, and what stands on them. */
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Checkpoint } from "../../../src/checkpoint/checkpoint.js";
import { formatManifest, parseManifest } from "../../../src/checkpoint/manifest.js";
import type { Sandbox } from "../../../src/sandbox/sandbox.js";
import { openBox, soon } from "../../support/box.js";

const box = openBox("checkpoint");

const restore = (checkpoint: string, name?: string): Promise<Sandbox> =>
  box.node.sandboxes.create(
    {
      source: { kind: "checkpoint", checkpoint },
      labels: {},
      env: {},
      ...(name === undefined ? {} : { name }),
    },
    soon(),
  );

const take = (ref: string, name?: string): Promise<Checkpoint> =>
  box.node.checkpoints.create(ref, name === undefined ? {} : { name }, soon());

const directoryOf = ({ id }: Checkpoint): string => join(box.test.dataDir, "checkpoints", id);

/** Memory and a file that have to be of the same moment. */
async function startMarked(mark: string): Promise<string> {
  const { id } = await box.create();
  await box.start(id, ["bash", "--norc", "-i"], { tag: "memory", terminal: { rows: 24, columns: 80 } });
  await setMark(id, mark);
  return id;
}

/** Into the memory of the shell, and into a file. */
async function setMark(ref: string, mark: string): Promise<void> {
  const [shell] = await box.node.processes.list(ref, soon());
  const line = Buffer.from(`mark=${mark}; echo $mark > /root/mark\n`);
  await box.node.processes.write(ref, shell?.pid ?? 0, line, { eof: false }, soon());
  await box.sh(ref, `until [ "$(cat /root/mark 2>/dev/null)" = ${mark} ]; do sleep 0.01; done`);
}

/** Both marks; the one in memory is written to a file first. */
async function marksOf(ref: string): Promise<string> {
  const shell = (await box.node.processes.list(ref, soon())).find(({ tag }) => tag === "memory");
  await box.sh(ref, "rm -f /root/said");
  const line = Buffer.from("echo $mark > /root/said.new; mv /root/said.new /root/said\n");
  await box.node.processes.write(ref, shell?.pid ?? 0, line, { eof: false }, soon());
  return box.sh(ref, "until [ -e /root/said ]; do sleep 0.01; done; cat /root/said /root/mark | xargs");
}

/** Leads its session as a shell does; says whose the terminal is when it is asked. */
const betweenJobs = `
import os, signal, time
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = os.fork()
if job == 0: time.sleep(1000)
os.setpgid(job, job)
os.tcsetpgrp(0, job)
os.kill(job, signal.SIGKILL)
os.waitpid(job, 0)
open("/root/ended", "w").close()
while not os.path.exists("/root/ask"): time.sleep(0.01)
with open("/root/said.new", "w") as said: said.write("its own" if os.tcgetpgrp(0) == os.getpgrp() else "another's")
os.rename("/root/said.new", "/root/said")
time.sleep(1000)`;

describe("checkpoint and restore", () => {
  it("brings back memory and files of one instant, any number of times", async () => {
    const id = await startMarked("one");
    const one = await take(id, "first");
    expect(one).toMatchObject({ kind: "user", name: "first", sandbox: id });
    expect(one.memoryBytes).toBeGreaterThan(100_000);
    expect(one.freezeMs).toBeGreaterThan(1);
    await setMark(id, "two");
    const two = await take(id);
    await setMark(id, "three");
    const restored = await Promise.all([restore("first"), restore(one.id), restore(two.id)]);
    expect(await Promise.all(restored.map((sandbox) => marksOf(sandbox.id)))).toEqual([
      "one one",
      "one one",
      "two two",
    ]);
    expect(await marksOf(id)).toBe("three three");
    expect(restored[0]).toMatchObject({ origin: { kind: "checkpoint", checkpoint: one.id } });
  });

  it("restores after the source is deleted and the node has started anew", async () => {
    const id = await startMarked("kept");
    const { id: ref } = await take(id);
    await box.node.sandboxes.delete(id, { force: true }, soon());
    expect(await marksOf((await restore(ref)).id)).toBe("kept kept");
    await box.test.restart();
    expect(await marksOf((await restore(ref)).id)).toBe("kept kept");
  });

  it("has a terminal whose foreground is a group that has ended, as a shell's is between two jobs", async () => {
    const { id } = await box.create();
    await box.start(id, ["python3", "-c", betweenJobs], {
      tag: "memory",
      terminal: { rows: 24, columns: 80 },
    });
    await box.sh(id, "until [ -e /root/ended ]; do sleep 0.01; done");
    const { id: ref } = await take(id);
    await box.node.sandboxes.pause(id, soon());
    await box.node.sandboxes.resume(id, soon());
    for (const again of [id, (await restore(ref)).id])
      expect(
        await box.sh(again, "touch /root/ask; until [ -e /root/said ]; do sleep 0.01; done; cat /root/said"),
      ).toBe("its own");
  });

  it("keeps lineage, and removes nothing that something stands on", async () => {
    const id = await startMarked("a");
    const root = await take(id, "root");
    const second = await take(id, "second");
    const branch = await restore("root", "branch");
    const leaf = await take(branch.id, "leaf");
    const golden = (await box.node.checkpoints.list({ all: true })).find(
      ({ checkpoint }) => checkpoint.kind === "golden",
    );
    expect(root).toMatchObject({ parent: golden?.checkpoint.id, base: golden?.checkpoint.id });
    expect(second).toMatchObject({ parent: root.id, base: golden?.checkpoint.id });
    expect(leaf).toMatchObject({ parent: root.id, base: root.id });

    await expect(box.node.checkpoints.delete("root", soon())).rejects.toMatchObject({
      code: "failed_precondition",
      message: expect.stringMatching(/branch.*leaf|leaf.*branch/),
    });
    await box.node.sandboxes.delete("branch", { force: true }, soon());
    await expect(box.node.checkpoints.delete("root", soon())).rejects.toMatchObject({
      message: expect.stringContaining("leaf"),
    });
    expect(await marksOf((await restore("leaf", "again")).id)).toBe("a a");
    await box.node.sandboxes.delete("again", { force: true }, soon());
    await box.node.checkpoints.delete("leaf", soon());
    await box.node.checkpoints.delete("root", soon());
    expect((await box.node.checkpoints.get("second")).checkpoint.parent).toBe(golden?.checkpoint.id);
    expect(await box.node.checkpoints.verify("second", soon())).toEqual([]);
    expect(await marksOf((await restore("second")).id)).toBe("a a");
  });

  it("of a paused sandbox stands under it until it is resumed", async () => {
    const id = await startMarked("p");
    const { checkpoint } = await box.node.sandboxes.pause(id, soon());
    await expect(restore(checkpoint.id)).rejects.toMatchObject({ code: "failed_precondition" });
    await expect(box.node.checkpoints.delete(checkpoint.id, soon())).rejects.toMatchObject({
      code: "failed_precondition",
    });
    await expect(take(id)).rejects.toMatchObject({
      code: "failed_precondition",
      message: `cannot take a checkpoint of sandbox ${id}: it is paused, not running`,
    });
    await box.node.sandboxes.resume(id, soon());
    expect(await marksOf(id)).toBe("p p");
    await expect(box.node.checkpoints.get(checkpoint.id)).rejects.toMatchObject({ code: "not_found" });
  });

  it("refuses a name that is taken before the sandbox stands still, and leaves it running", async () => {
    const id = await startMarked("n");
    await take(id, "taken");
    const before = await box.holdings();
    await box.test.restart(undefined, "checkpoint.frozen=error");
    await expect(take(id, "taken")).rejects.toMatchObject({ code: "already_exists" });
    await box.test.restart();
    await box.expectNoLeak(before);
    expect(await marksOf(id)).toBe("n n");
  });

  it("refuses what does not exist", async () => {
    await expect(restore("nothing")).rejects.toMatchObject({ code: "not_found" });
    await expect(take("nobody")).rejects.toMatchObject({ code: "not_found" });
    await expect(box.node.checkpoints.delete("nothing", soon())).rejects.toMatchObject({ code: "not_found" });
  });
});

it("keeps a paused sandbox paused when only CRIU finds its images unusable", async () => {
  const id = await startMarked("z");
  const { checkpoint } = await box.node.sandboxes.pause(id, soon());
  const directory = directoryOf(checkpoint);
  // Of the right digest and of no sense.
  const [pstree, manifest] = [join(directory, "images/pstree.img"), join(directory, "manifest.json")];
  const [tree, text] = [await readFile(pstree), await readFile(manifest, "utf8")];
  await writeFile(pstree, Buffer.alloc(tree.length));
  await rewriteDigest(directory, "images/pstree.img");
  const before = await box.holdings();
  const refused = await box.node.sandboxes.resume(id, soon()).catch((thrown: unknown) => thrown);
  expect(refused).toMatchObject({ message: expect.stringContaining(id) });
  await box.expectNoLeak(before);
  expect((await box.node.sandboxes.get(id)).state.status).toBe("paused");
  await writeFile(pstree, tree);
  await writeFile(manifest, text);
  await box.node.sandboxes.resume(id, soon());
  expect(await marksOf(id)).toBe("z z");
});

async function rewriteDigest(directory: string, name: string): Promise<void> {
  const path = join(directory, "manifest.json");
  const sha256 = createHash("sha256")
    .update(await readFile(join(directory, name)))
    .digest("hex");
  const manifest = parseManifest("it", await readFile(path, "utf8"));
  const files = manifest.files.map((file) => (file.path === name ? { ...file, sha256 } : file));
  await writeFile(path, formatManifest({ ...manifest, files }));
}
