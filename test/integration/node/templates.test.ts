/** Templates: built when ready, refused when never ready, and their limits in the sandboxes made from them. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { becomes, openBox } from "../../support/box.js";

const box = openBox("templates");

const fromTemplate = (template: string) =>
  box.node.sandboxes.create(
    { source: { kind: "template", template }, labels: {}, env: {} },
    AbortSignal.timeout(60_000),
  );

it("keeps the start command running in every sandbox, where it was when the template was ready", async () => {
  await box.buildTemplate({
    name: "counting",
    startCommand: "n=0; while :; do n=$((n+1)); echo $n > /tmp/m; mv /tmp/m /tmp/n; sleep 0.01; done",
    readyCommand: "test $(cat /tmp/n) -ge 20",
  });
  const [one, two] = [await fromTemplate("counting"), await fromTemplate("counting")];
  for (const { id } of [one, two]) {
    const first = Number(await box.sh(id, "cat /tmp/n"));
    expect(first).toBeGreaterThanOrEqual(20);
    await becomes("it counts on", async () => Number(await box.sh(id, "cat /tmp/n")) > first);
  }
});

it("says what the ready command printed last when it never passes, and leaves nothing", async () => {
  const before = await box.holdings();
  const building = box.buildTemplate({ readyCommand: "echo port 80 is closed; false", readyTimeoutMs: 700 });
  await expect(building).rejects.toMatchObject({
    code: "deadline_exceeded",
    message: expect.stringContaining("port 80 is closed"),
  });
  await expect(box.node.templates.get("t")).rejects.toMatchObject({ code: "not_found" });
  await box.expectNoLeak(before);
});

it.each([
  ["with a ready command", { startCommand: "exit 3", readyCommand: "true" }, /ended with exit code 3/],
  ["without one", { startCommand: "no-such-command" }, /ended with exit code 127/],
  ["by a signal", { startCommand: "kill -9 $$", readyCommand: "false" }, /ended with signal/],
])("is refused when the start command fails, %s", async (_name, spec, message) => {
  const before = await box.holdings();
  await expect(box.buildTemplate(spec)).rejects.toMatchObject({
    code: "failed_precondition",
    message: expect.stringMatching(message),
  });
  await box.expectNoLeak(before);
});

it("is built when the start command ends well", async () => {
  await box.buildTemplate({ startCommand: "sleep 1000 & exit 0" });
  expect(await box.sh((await fromTemplate("t")).id, "pgrep -x sleep")).toMatch(/^\d+$/);
});

it.each([
  ["an image that does not exist", { image: "nothing" }, "not_found"],
  ["a user that does not exist", { user: "nobody-here" }, "invalid_argument"],
  ["a working directory that does not exist", { cwd: "/nowhere" }, "not_found"],
  ["a name that is taken", { name: "base" }, "already_exists"],
] as const)("is refused for %s", async (_name, spec, code) => {
  const before = await box.holdings();
  await expect(box.buildTemplate(spec)).rejects.toMatchObject({ code });
  await box.expectNoLeak(before);
});

it("may be replaced and removed while sandboxes of it live on", async () => {
  await box.buildTemplate({
    startCommand: "echo one > /tmp/version; sleep 1000",
    readyCommand: "test -s /tmp/version",
  });
  const old = await fromTemplate("t");
  const again = { startCommand: "echo two > /tmp/version; sleep 1000", readyCommand: "test -s /tmp/version" };
  await box.buildTemplate(again, { replace: true });
  const young = await fromTemplate("t");
  await box.node.templates.delete("t", AbortSignal.timeout(10_000));
  expect(await box.sh(old.id, "cat /tmp/version")).toBe("one");
  expect(await box.sh(young.id, "cat /tmp/version")).toBe("two");
  await box.node.sandboxes.pause(old.id, AbortSignal.timeout(30_000));
  await box.node.sandboxes.resume(old.id, AbortSignal.timeout(30_000));
  expect(await box.sh(old.id, "cat /tmp/version")).toBe("one");
  await expect(fromTemplate("t")).rejects.toMatchObject({ code: "not_found" });
});

it("limits memory, and an end for want of it is noticed", async () => {
  await box.buildTemplate({ limits: { memoryBytes: 64 << 20 } });
  const { id } = await fromTemplate("t");
  const outcome = await box.run(id, ["python3", "-c", "x = bytearray(512 << 20); print(len(x))"]);
  expect(outcome.status).toEqual({ kind: "signal", signal: 9 });
  await becomes("the event", async () => (await box.events("sandbox.oom", id)).length > 0);
  expect(await box.sh(id, "echo alive")).toBe("alive");
});

it("limits processes and processor time", async () => {
  await box.buildTemplate({ limits: { pids: 32, cpus: 0.5 } });
  const { id, state } = await fromTemplate("t");
  const fill =
    "import os, time\nn = 0\ntry:\n  while n < 100:\n    if os.fork() == 0: time.sleep(60)\n    n += 1\nexcept OSError: print(n)";
  const { stdout } = await box.run(id, ["python3", "-c", fill]);
  expect(Number(stdout)).toBeLessThan(32);
  if (state.status !== "running") throw new Error(state.status);
  expect(quotaOf(state.pid)).toBe(0.5);
});

/** Share of one core that the cgroup of a process may use; both hierarchies. */
function quotaOf(pid: number): number {
  const lines = readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().split("\n");
  const v1 = lines
    .map((line) => line.split(":"))
    .find(([, controllers]) => controllers?.split(",").includes("cpu"));
  if (v1 !== undefined) {
    const read = (name: string) =>
      Number(readFileSync(`/sys/fs/cgroup/cpu${v1[2]}/cpu.cfs_${name}_us`, "utf8"));
    return read("quota") / read("period");
  }
  const path = lines[0]?.split("::")[1] ?? "";
  const [quota, period] = readFileSync(`/sys/fs/cgroup${path}/cpu.max`, "utf8").split(" ").map(Number);
  return (quota ?? 0) / (period ?? 1);
}
