/** A sandbox goes back to one of its checkpoints under the same id. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { openBox, soon } from "../../support/box.js";

const box = openBox("roll-back");

const take = (ref: string, name?: string) =>
  box.node.checkpoints.create(ref, name === undefined ? {} : { name }, soon());
const goBack = (ref: string, checkpoint: string) => box.node.sandboxes.rollBack(ref, { checkpoint }, soon());

/** Its state in a shell's memory and in a file. */
async function startMarked(mark: string): Promise<string> {
  const { id } = await box.create();
  const loop = `mark=${mark}; while :; do
    [ -e /srv/next ] && { mark=$(cat /srv/next); rm /srv/next; echo $mark > /srv/file; }
    echo $mark > /srv/memory.new; mv /srv/memory.new /srv/memory; sleep 0.02; done`;
  await box.sh(id, `echo ${mark} > /srv/file`);
  await box.start(id, ["bash", "-c", loop], { tag: "marked" });
  await box.sh(id, "until [ -s /srv/memory ]; do sleep 0.02; done");
  return id;
}

const setMark = (ref: string, mark: string) =>
  box.sh(
    ref,
    `echo ${mark} > /srv/next.new; mv /srv/next.new /srv/next; until [ "$(cat /srv/memory)" = ${mark} ]; do sleep 0.02; done`,
  );

const marksOf = async (ref: string) =>
  await box.sh(
    ref,
    "rm /srv/memory; until [ -s /srv/memory ]; do sleep 0.02; done; echo $(cat /srv/memory /srv/file)",
  );

async function has(ref: string, status: string): Promise<void> {
  while ((await box.node.sandboxes.get(ref)).state.status !== status) await setImmediate();
}

describe("rolling back", () => {
  it("brings memory and files of the checkpoint back, as often as asked", async () => {
    const id = await startMarked("one");
    const one = await take(id, "first");
    await setMark(id, "two");
    const two = await take(id);
    for (const [ref, marks] of [
      ["first", "one one"],
      [two.id, "two two"],
      [one.id, "one one"],
    ] as const) {
      await setMark(id, "lost");
      expect(await goBack(id, ref)).toMatchObject({ id, state: { status: "running" } });
      expect(await marksOf(id)).toBe(marks);
    }
    expect(await box.node.checkpoints.get("first")).toMatchObject({ checkpoint: { id: one.id } });
  });

  it("tells who waits for a command of what was given up that it is over", async () => {
    const id = await startMarked("one");
    await take(id, "first");
    const waiting = box.sh(id, "echo > /srv/waits; sleep 60").catch((thrown: unknown) => thrown);
    await box.sh(id, "until [ -e /srv/waits ]; do sleep 0.02; done");
    await Promise.all([goBack(id, "first"), goBack(id, "first")]);
    expect(await waiting).toMatchObject({
      code: "unavailable",
      message: `sandbox ${id} was rolled back to checkpoint first`,
      hint: expect.stringContaining("processes of that time"),
    });
    expect(await marksOf(id)).toBe("one one");
  });

  it("brings a paused sandbox back too, and frees the memory of its pause", async () => {
    const id = await startMarked("before");
    const { id: checkpoint } = await take(id);
    await setMark(id, "after");
    const paused = await box.node.sandboxes.pause(id, soon());
    await goBack(id, checkpoint);
    expect(await marksOf(id)).toBe("before before");
    await expect(box.node.checkpoints.get(paused.checkpoint.id)).rejects.toMatchObject({ code: "not_found" });
  });

  it("counts the generation on, and grows the tree from where it is", async () => {
    const id = await startMarked("a");
    const a = await take(id);
    const b = await take(id);
    const before = (await box.node.sandboxes.get(id)).generation;
    const { generation } = await goBack(id, a.id);
    expect(generation).toBe(before + 1);
    const c = await take(id);
    expect(b).toMatchObject({ parent: a.id });
    expect(c).toMatchObject({ parent: a.id, base: a.id });
    expect(Number(await box.sh(id, "cat /.ramet/generation"))).toBe(generation);
  });

  it("has a parent that is there, when the one before is removed meanwhile", async () => {
    const id = await startMarked("a");
    const first = await take(id);
    const taking = take(id);
    await has(id, "checkpointing");
    await box.node.checkpoints.delete(first.id, soon());
    const second = await taking;
    expect(second.parent).toBe(first.parent);
    expect((await box.node.checkpoints.get(second.id)).checkpoint.parent).toBe(first.parent);
    const pausing = box.node.sandboxes.pause(id, soon());
    await has(id, "pausing");
    await box.node.checkpoints.delete(second.id, soon());
    expect((await pausing).checkpoint.parent).toBe(first.parent);
  });

  it("keeps what it did when it is paused, stopped or restarted afterwards", async () => {
    const id = await startMarked("kept");
    const { id: checkpoint } = await take(id);
    await goBack(id, checkpoint);
    await setMark(id, "new");
    await box.node.sandboxes.pause(id, soon());
    await box.test.restart();
    await box.node.sandboxes.resume(id, soon());
    expect(await marksOf(id)).toBe("new new");
    await box.node.sandboxes.stop(id, { graceMs: 1000 }, soon());
    await box.node.sandboxes.delete(id, { force: false }, soon());
    await box.node.checkpoints.delete(checkpoint, soon());
  });

  it("goes to the golden checkpoint that it was made from", async () => {
    const { id, origin } = await box.create();
    await box.sh(id, "echo gone > /srv/file");
    await goBack(id, "checkpoint" in origin ? origin.checkpoint : "");
    expect(await box.sh(id, "ls /srv")).toBe("");
  });

  it("does not go to a fork, whose memory is not kept", async () => {
    const id = await startMarked("source");
    const [clone] = await box.fork(id, { count: 1 });
    const { id: ref = "", origin } = clone ?? {};
    await setMark(ref, "clone");
    await expect(
      goBack(ref, origin !== undefined && "checkpoint" in origin ? origin.checkpoint : ""),
    ).rejects.toMatchObject({
      code: "failed_precondition",
      message: expect.stringContaining("memory is gone"),
    });
    expect(await marksOf(ref)).toBe("clone clone");
  });

  it("refuses what is not of its lineage, and other states, and changes nothing", async () => {
    const [id, other] = [await startMarked("mine"), await startMarked("other")];
    const foreign = await take(other);
    await expect(goBack(id, foreign.id)).rejects.toMatchObject({
      code: "failed_precondition",
      message: expect.stringContaining("not of its lineage"),
    });
    await expect(goBack(id, "nothing")).rejects.toMatchObject({ code: "not_found" });
    expect(await marksOf(id)).toBe("mine mine");
    const own = await take(id);
    await box.node.sandboxes.stop(id, { graceMs: 1000 }, soon());
    await expect(goBack(id, own.id)).rejects.toMatchObject({ code: "failed_precondition" });
  });

  it("fails before anything is lost, and after the record leaves it paused there", async () => {
    const id = await startMarked("there");
    const { id: checkpoint } = await take(id);
    await setMark(id, "here");
    await box.test.restart(undefined, "rollback.prepared=error");
    await expect(goBack(id, checkpoint)).rejects.toThrow();
    expect(await marksOf(id)).toBe("here here");
    await box.test.restart(undefined, "resume.recorded=error");
    await expect(goBack(id, checkpoint)).rejects.toThrow();
    await box.test.restart();
    expect((await box.node.sandboxes.get(id)).state).toMatchObject({ status: "paused", checkpoint });
    await expect(box.node.checkpoints.delete(checkpoint, soon())).rejects.toMatchObject({
      code: "failed_precondition",
    });
    await box.node.sandboxes.resume(id, soon());
    expect(await marksOf(id)).toBe("there there");
  });

  it("is resumed where what ran before could not be cleared away", async () => {
    const id = await startMarked("there");
    const { id: checkpoint } = await take(id);
    const armed = join(box.test.dataDir, "armed");
    await box.test.restart(undefined, `@${armed}`);
    for (const [failpoint, change] of [
      ["rollback.recorded", () => goBack(id, checkpoint)],
      ["pause.killed", () => box.node.sandboxes.pause(id, soon())],
      ["pause.committed", () => box.node.sandboxes.pause(id, soon())],
    ] as const) {
      writeFileSync(armed, `${failpoint}=error`);
      await expect(change(), failpoint).rejects.toThrow(failpoint);
      rmSync(armed);
      expect((await box.node.sandboxes.get(id)).state.status).toBe("paused");
      await box.node.sandboxes.resume(id, soon());
      expect(await marksOf(id)).toBe("there there");
    }
    await box.test.restart();
  });

  it("keeps the checkpoint that it is paused at when it goes back once more", async () => {
    const id = await startMarked("there");
    const { id: checkpoint } = await take(id);
    await box.test.restart(undefined, "resume.recorded=error");
    // The second time it is paused at the checkpoint already, which is not the memory of a pause of its own.
    for (let tries = 0; tries < 2; tries++) await expect(goBack(id, checkpoint)).rejects.toThrow();
    await box.test.restart();
    expect((await box.node.sandboxes.get(id)).state).toMatchObject({ status: "paused", checkpoint });
    expect(await box.node.checkpoints.verify(checkpoint, soon())).toEqual([]);
    await goBack(id, checkpoint);
    expect(await marksOf(id)).toBe("there there");
  });
});
