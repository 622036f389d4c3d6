/** A memoryd that the agent has not started, but systemd or a pod: run here by hand with the command that these have. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeEach, expect, it } from "vitest";
import { becomes, openBox, soon } from "../../support/box.js";
import { memorydAt } from "../../support/memoryd.js";
import { memorydBinary } from "../../support/node.js";
import { MiB, modelOf, openHolder } from "./holder.js";

const runDir = mkdtempSync(join(tmpdir(), "ramet-memoryd-"));
const socket = join(runDir, "memoryd.sock");
const started: ChildProcess[] = [];
const repositoryFile = (path: string) =>
  readFileSync(fileURLToPath(new URL(`../../../${path}`, import.meta.url)), "utf8");
const installed = "/usr/lib/ramet/dist/memoryd/memoryd";
// It has to be there when the agent starts.
run();
const box = openBox("foreign-memoryd", { memory: { memoryd_socket: socket } });
const holder = openHolder(box);

beforeEach(run);
afterEach(kill);
afterAll(() => rmSync(runDir, { recursive: true }));

/** The arguments that the unit gives it; a test below compares them with the pod's. */
function unitArguments(): string[] {
  const [, line = ""] =
    /^ExecStart=\/usr\/bin\/env (.*)$/m.exec(repositoryFile("systemd/ramet-memoryd.service")) ?? [];
  const [binary, ...args] = line.split(" ");
  expect(binary).toBe(installed);
  return args.map((argument) => argument.replace("/run/ramet/", `${runDir}/`));
}

/** As in its pod, it can write nowhere but beside its socket. */
function run(): void {
  if (started.length > 0) return;
  const script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro / && exec "$@"';
  const args = [
    "--mount",
    "--propagation",
    "private",
    "sh",
    "-c",
    script,
    runDir,
    memorydBinary,
    ...unitArguments(),
  ];
  started.push(spawn("unshare", args, { stdio: ["ignore", "ignore", "inherit"], detached: true, cwd: "/" }));
}

async function kill(): Promise<void> {
  for (const child of started.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }
}

async function startHolding(): Promise<string> {
  const { id } = await box.create();
  await holder.start(id);
  return id;
}

const fork = async (ref: string) => (await box.fork(ref))[0]?.id ?? "";

it("is started by the pod as by the unit", () => {
  const [, list = "[]"] =
    /- name: memoryd\n\s+image: \S+\n\s+command: (\[.*\])/.exec(
      repositoryFile("daemonset/base/daemonset.yaml"),
    ) ?? [];
  const [binary, ...args] = JSON.parse(list) as string[];
  expect(binary).toBe(installed);
  expect(args.map((argument) => argument.replace("/run/ramet/", `${runDir}/`))).toEqual(unitArguments());
});

it("serves sandboxes, and stays when the agent goes", async () => {
  const clone = await fork(await startHolding());
  const model = modelOf();
  await holder.drop(clone, model, MiB, 3 * MiB);
  const [child] = started;
  expect(memorydAt(socket)).toBe(child?.pid);
  await box.test.restart(async () => expect(memorydAt(socket)).toBe(child?.pid));
  await holder.drop(clone, model, 8 * MiB, 4096);
  await holder.expectExact(await fork(clone), model);
});

it("is waited for while it is started again, and what it served is served meanwhile", async () => {
  const clone = await fork(await startHolding());
  const model = modelOf();
  await kill();
  await holder.drop(clone, model, MiB, 3 * MiB);
  const forking = fork(clone);
  // The checkpoint of the fork is taken without it; the clone needs it.
  setTimeout(run, 1000);
  const next = await forking;
  await holder.drop(next, model, 8 * MiB, 4096);
  await holder.expectExact(await fork(next), model);
});

it("that does not come back is missed in words, and nothing is left of what needed it", async () => {
  const clone = await fork(await startHolding());
  const model = modelOf();
  await kill();
  const before = await box.holdings();
  await expect(fork(clone)).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringContaining("memoryd does not answer at"),
    hint: expect.stringContaining("memory.memoryd_socket"),
  });
  await box.expectNoLeak(before);
  await holder.drop(clone, model, MiB, 3 * MiB);
  run();
  await becomes("it listens", async () => existsSync(socket) && memorydAt(socket) > 0);
  await holder.expectExact(await fork(clone), model);
});

it("that is not there when the agent starts is told of, and there at its next start", async () => {
  const clone = await fork(await startHolding());
  const model = modelOf();
  await kill();
  await box.test.restart();
  await expect(fork(clone)).rejects.toMatchObject({
    code: "failed_precondition",
    message: expect.stringMatching(/shares its memory.*memoryd does not answer at/),
  });
  await box.node.sandboxes.pause(clone, soon());
  run();
  await box.test.restart();
  await box.node.sandboxes.resume(clone, soon());
  await holder.expectExact(await fork(clone), model);
});
