/** What is not there, or not in the state that an operation needs: one clear error each, and nothing changes. */
import { describe, expect, it } from "vitest";
import { openBox, soon } from "../../support/box.js";

const box = openBox("refusals");

const { kind, labels, env } = { kind: "template", labels: {}, env: {} } as const;
const none = { env: {}, cmd: [], entrypoint: [], replace: false };

describe("unknown", () => {
  it.each([
    ["sandbox", () => box.node.sandboxes.get("nothing")],
    ["sandbox to pause", () => box.node.sandboxes.pause("nothing", soon())],
    ["sandbox to resume", () => box.node.sandboxes.resume("nothing", soon())],
    ["sandbox to stop", () => box.node.sandboxes.stop("nothing", { graceMs: 0 }, soon())],
    ["sandbox to delete", () => box.node.sandboxes.delete("nothing", { force: true }, soon())],
    ["sandbox to fork", () => box.fork("nothing")],
    ["sandbox to commit", () => box.node.sandboxes.commit("nothing", { image: "i", ...none }, soon())],
    ["sandbox to read", () => box.node.sandboxes.stats("nothing", soon())],
    ["sandbox to run in", () => box.run("nothing", ["true"])],
    [
      "template",
      () => box.node.sandboxes.create({ source: { kind, template: "nothing" }, labels, env }, soon()),
    ],
    ["image", () => box.createCold({ image: "nothing" })],
    ["checkpoint", () => box.node.checkpoints.get("nothing")],
  ] as const)("%s", async (_what, operation) => {
    await expect(operation()).rejects.toMatchObject({
      code: "not_found",
      message: expect.stringContaining("nothing"),
    });
  });

  it("command, user or working directory", async () => {
    const { id } = await box.create();
    await expect(box.run(id, ["no-such-command"])).rejects.toMatchObject({ code: "not_found" });
    await expect(box.run(id, ["true"], { user: "nobody-here" })).rejects.toMatchObject({
      code: "invalid_argument",
    });
    await expect(box.run(id, ["true"], { cwd: "/nowhere" })).rejects.toMatchObject({
      code: "invalid_argument",
    });
    await expect(box.run(id, ["/etc/passwd"])).rejects.toMatchObject({ code: "failed_precondition" });
    expect(await box.sh(id, "echo fine")).toBe("fine");
  });
});

describe("the wrong state", () => {
  it("of a paused sandbox", async () => {
    const { id } = await box.create();
    await box.node.sandboxes.pause(id, soon());
    const refused = { code: "failed_precondition", message: expect.stringContaining("paused") };
    await expect(box.node.sandboxes.pause(id, soon())).rejects.toMatchObject(refused);
    await expect(box.fork(id)).rejects.toMatchObject(refused);
    await expect(box.run(id, ["true"])).rejects.toMatchObject(refused);
    await expect(box.node.checkpoints.create(id, {}, soon())).rejects.toMatchObject(refused);
    await expect(box.node.sandboxes.delete(id, { force: false }, soon())).rejects.toMatchObject(refused);
    expect((await box.node.sandboxes.resume(id, soon())).state.status).toBe("running");
  });

  it("of a running sandbox", async () => {
    const { id } = await box.create();
    const refused = { code: "failed_precondition", message: expect.stringContaining("running") };
    await expect(box.node.sandboxes.resume(id, soon())).rejects.toMatchObject(refused);
    await expect(box.node.sandboxes.delete(id, { force: false }, soon())).rejects.toMatchObject(refused);
  });

  it("of a stopped sandbox", async () => {
    const { id } = await box.create();
    await box.node.sandboxes.stop(id, { graceMs: 500 }, soon());
    const refused = { code: "failed_precondition", message: expect.stringContaining("stopped") };
    await expect(box.fork(id)).rejects.toMatchObject(refused);
    await expect(box.node.sandboxes.pause(id, soon())).rejects.toMatchObject(refused);
    await expect(box.node.sandboxes.resume(id, soon())).rejects.toMatchObject(refused);
    expect((await box.node.sandboxes.stop(id, { graceMs: 0 }, soon())).state.status).toBe("stopped");
  });
});

it("gives one of two sandboxes a name, and the other an error", async () => {
  const made = await Promise.allSettled([box.create({ name: "same" }), box.create({ name: "same" })]);
  expect(made.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  const refused = made.find((result) => result.status === "rejected");
  expect(refused?.reason).toMatchObject({ code: "already_exists" });
});

it("serves many operations on one sandbox one after another", async () => {
  const { id } = await box.create();
  const outcomes = await Promise.allSettled([
    box.node.checkpoints.create(id, {}, soon()),
    box.fork(id, { count: 2 }),
    box.sh(id, "echo in between"),
    box.node.sandboxes.pause(id, soon()),
    box.node.sandboxes.resume(id, soon()),
    box.node.checkpoints.create(id, {}, soon()),
  ]);
  expect(outcomes.filter(({ status }) => status === "rejected")).toEqual([]);
  expect(await box.sh(id, "echo after")).toBe("after");
});

it("deletes a sandbox under everybody's hands", async () => {
  const { id } = await box.create();
  const running = box.run(id, ["sleep", "1000"]).catch((thrown: { code: string }) => thrown.code);
  const forking = box.fork(id, { count: 3 }).catch((thrown: { code: string }) => thrown.code);
  await box.node.sandboxes.delete(id, { force: true }, soon());
  expect(await running).toMatch(/unavailable|failed_precondition|not_found/);
  const forked = await forking;
  expect(typeof forked === "string" ? forked : forked.length).toEqual(
    typeof forked === "string" ? expect.stringMatching(/not_found|failed_precondition|unavailable/) : 3,
  );
});
