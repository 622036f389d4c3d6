import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { runDoctor } from "../../../src/doctor/doctor.js";
import { isFit } from "../../../src/doctor/finding.js";
import type { DoctorConfig } from "../../../src/doctor/host.js";
import { testRuntime } from "../../support/containerd.js";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ramet-doctor-test-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

function configIn(base: string): DoctorConfig {
  return {
    dataDir: join(base, "data/not/there"),
    runDir: join(base, "run"),
    prefix: join(base, "prefix"),
    socket: join(base, "agent.sock"),
    containerd: { address: join(base, "containerd.sock"), namespace: "ramet", stateDir: base },
    memory: { sharing: "on" },
  };
}

it("looks at a machine without a runtime, says so, and leaves nothing behind", async () => {
  const findings = await runDoctor(configIn(dir), AbortSignal.timeout(60_000));
  const status = Object.fromEntries(findings.map((finding) => [finding.name, finding.status]));
  expect(status).toMatchObject({
    kernel: "ok",
    containerd: "failure",
    runc: "failure",
    criu: "failure",
    agent: "ok",
  });
  for (const { status, fix } of findings) expect(fix === undefined).toBe(status === "ok");
  expect(await readdir(dir)).toEqual([]);
  expect(await readFile("/proc/self/mountinfo", "utf8")).not.toContain(dir);
});

it("finds the runtime of the tests fit for sandboxes", async () => {
  const { address, state, root, prefix } = testRuntime();
  const findings = await runDoctor(
    {
      ...{ dataDir: root, runDir: dirname(state), prefix, socket: join(dir, "agent.sock") },
      containerd: { address, namespace: "ramet", stateDir: state },
      memory: { sharing: "on" },
    },
    AbortSignal.timeout(60_000),
  );
  expect(findings.filter(({ status }) => status === "failure")).toEqual([]);
  expect(isFit(findings)).toBe(true);
});

it("stops when it is told to, and leaves nothing behind then", async () => {
  await expect(runDoctor(configIn(dir), AbortSignal.abort())).rejects.toThrow(/abort/);
  expect(await readdir(dir)).toEqual([]);
});
