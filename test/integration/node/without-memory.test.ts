/** A pause that keeps the files alone, and what a sandbox knows of its boots. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { openBox, soon } from "../../support/box.js";

const box = openBox("without-memory");

const bootOf = (ref: string) => box.sh(ref, "cat /proc/sys/kernel/random/boot_id");
/** A process that is there until its boot ends. */
const startProcess = (ref: string) => box.start(ref, ["sleep", "3600"], { tag: "held" });
const isHeld = async (ref: string) =>
  (await box.node.processes.list(ref, soon())).some(
    ({ tag, exited }) => tag === "held" && exited === undefined,
  );

describe("a pause without memory", () => {
  it("keeps the files and ends the processes, as often as asked", async () => {
    const { id } = await box.create();
    const boots = [await bootOf(id)];
    for (const round of ["one", "two"]) {
      await startProcess(id);
      await box.sh(id, `echo ${round} > /srv/${round}`);
      const paused = await box.node.sandboxes.pauseWithoutMemory(id, soon());
      expect(paused.state).toMatchObject({ status: "paused" });
      expect(paused.state).not.toHaveProperty("checkpoint");
      expect(await box.node.checkpoints.list({ sandbox: id, all: true })).toEqual([]);
      await expect(box.sh(id, "true")).rejects.toMatchObject({ code: "failed_precondition" });
      expect(await box.node.sandboxes.resume(id, soon())).toMatchObject({ id, state: { status: "running" } });
      expect(await box.sh(id, `cat /srv/${round}`)).toBe(round);
      expect(await isHeld(id)).toBe(false);
      boots.push(await bootOf(id));
    }
    expect(new Set(boots).size).toBe(3);
  });

  it("takes a user's environment, limits and identity along", async () => {
    const { id } = await box.create({ env: { MARK: "kept" } });
    const before = await box.sh(id, "hostname; cat /etc/machine-id; cat /.ramet/generation; echo $MARK");
    await box.node.sandboxes.pauseWithoutMemory(id, soon());
    await box.node.sandboxes.resume(id, soon());
    const after = await box.sh(id, "hostname; cat /etc/machine-id; cat /.ramet/generation; echo $MARK");
    const [host, machine, generation, mark] = before.split("\n");
    expect(after.split("\n")).toEqual([host, machine, String(Number(generation) + 1), mark]);
  });

  it("can be stopped and deleted, and taken back to a checkpoint of an earlier boot", async () => {
    const { id } = await box.create();
    await box.sh(id, "echo first > /srv/file");
    const boot = await bootOf(id);
    const { id: checkpoint } = await box.node.checkpoints.create(id, {}, soon());
    await box.node.sandboxes.pauseWithoutMemory(id, soon());
    await expect(box.node.sandboxes.pauseWithoutMemory(id, soon())).rejects.toMatchObject({
      code: "failed_precondition",
    });
    await box.node.sandboxes.rollBack(id, { checkpoint }, soon());
    expect(await box.sh(id, "cat /srv/file")).toBe("first");
    expect(await bootOf(id)).toBe(boot);
    await box.node.sandboxes.pauseWithoutMemory(id, soon());
    expect(await box.node.sandboxes.stop(id, { graceMs: 1000 }, soon())).toMatchObject({
      state: { status: "stopped" },
    });
    await box.node.sandboxes.delete(id, { force: false }, soon());
  });
});

describe("a resume without memory", () => {
  it("gives up what the pause kept", async () => {
    const { id } = await box.create();
    await startProcess(id);
    await box.sh(id, "echo kept > /srv/file");
    const boot = await bootOf(id);
    const { checkpoint } = await box.node.sandboxes.pause(id, soon());
    await box.node.sandboxes.resumeWithoutMemory(id, soon());
    expect(await isHeld(id)).toBe(false);
    expect(await box.sh(id, "cat /srv/file")).toBe("kept");
    expect(await bootOf(id)).not.toBe(boot);
    await expect(box.node.checkpoints.get(checkpoint.id)).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("the boot id", () => {
  it("is the sandbox's own, and the same over pauses with memory, checkpoints and forks", async () => {
    const { id } = await box.create();
    const boot = await bootOf(id);
    expect(boot).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(boot).not.toBe(readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim());
    for (const _ of [1, 2]) {
      await box.node.sandboxes.pause(id, soon());
      await box.node.sandboxes.resume(id, soon());
      expect(await bootOf(id)).toBe(boot);
    }
    for (const clone of await box.fork(id, { count: 2 })) expect(await bootOf(clone.id)).toBe(boot);
    const { id: started } = await box.createCold();
    expect(await bootOf(started)).not.toBe(boot);
  });

  it("cannot be changed from inside", async () => {
    const { id } = await box.create();
    const boot = await bootOf(id);
    const tries =
      "echo x > /proc/sys/kernel/random/boot_id; rm -f /.ramet/boot_id; umount /proc/sys/kernel/random/boot_id";
    await box.sh(id, `{ ${tries}; chmod 666 /.ramet/boot_id; echo x > /.ramet/boot_id; } 2>/dev/null; true`);
    expect(await bootOf(id)).toBe(boot);
    expect(await box.sh(id, "cat /.ramet/boot_id")).toBe(boot);
  });
});
