import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { link, mkdir, mkdtemp, readFile, rm, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openCopier } from "./copier.js";
import { waitUntil } from "./signal.js";

let dir = "";
const inside = (...path: string[]) => join(dir, ...path);
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ramet copier-"));
  await mkdir(inside("from/sub"), { recursive: true, mode: 0o750 });
});
afterEach(() => rm(dir, { recursive: true }));

const shells = () =>
  readdirSync("/proc/self/task")
    .flatMap((task) => readFileSync(`/proc/self/task/${task}/children`, "utf8").trim().split(" "))
    .filter((pid) => pid !== "" && readFileSync(`/proc/${pid}/comm`, "utf8") === "sh\n")
    .map(Number);

describe("a copier", () => {
  it("keeps links, holes, modes and what is in a directory", async () => {
    using copier = openCopier();
    await writeFile(inside("from/sub/a'b $x"), "text", { mode: 0o4711 });
    await link(inside("from/sub/a'b $x"), inside("from/other"));
    await symlink("nowhere", inside("from/link"));
    execFileSync("mkfifo", [inside("from/pipe")]);
    await writeFile(inside("from/hole"), "x");
    await truncate(inside("from/hole"), 64 * 1024 * 1024);
    await mkdir(inside("to"));
    await copier.copy(inside("from"), inside("to"));
    expect(await readFile(inside("to/sub/a'b $x"), "utf8")).toBe("text");
    expect((await stat(inside("to/other"))).ino).toBe((await stat(inside("to/sub/a'b $x"))).ino);
    expect((await stat(inside("to"))).mode).toBe((await stat(inside("from"))).mode);
    expect((await stat(inside("to/pipe"))).isFIFO()).toBe(true);
    expect((await stat(inside("to/hole"))).blocks).toBeLessThan(100);
    expect(readdirSync(inside("to")).sort()).toEqual(["hole", "link", "other", "pipe", "sub"]);
  });

  it("makes many at once, and leaves no process behind", async () => {
    using copier = openCopier();
    const numbers = Array.from({ length: 20 }, (_, index) => `${index}`);
    await writeFile(inside("from/file"), "text");
    await Promise.all(
      numbers.map(async (name) => {
        await mkdir(inside(name));
        await copier.copy(inside("from"), inside(name));
        expect(await readFile(inside(name, "file"), "utf8")).toBe("text");
      }),
    );
    const [shell] = shells();
    const children = () => readFileSync(`/proc/${shell}/task/${shell}/children`, "utf8").trim();
    await waitUntil("no children", () => children() === "", { intervalMs: 10, timeoutMs: 5000 });
  });

  /** Late in the copy, which has enough to do before. */
  async function passesBy(copier: ReturnType<typeof openCopier>, name: string) {
    await mkdir(inside("from/first"));
    for (let number = 0; number < 3000; number++) writeFileSync(inside("from/first", `${number}`), "");
    for (let number = 0; number < 5; number++) await mkdir(inside("from", `${name}${number}`));
    await mkdir(inside("to"));
    const copied = copier.copy(inside("from"), inside("to"));
    copied.catch(() => {});
    const begun = () => existsSync(inside("to/first"));
    await waitUntil("the copy has begun", begun, { intervalMs: 1, timeoutMs: 5000 });
    for (let number = 0; number < 5; number++) rmdirSync(inside("from", `${name}${number}`));
    await copied;
    expect(readdirSync(inside("to/first"))).toHaveLength(3000);
  }

  it("may miss what passes by", async () => {
    using copier = openCopier({ passing: /\/passing\d+'/ });
    await passesBy(copier, "passing");
  });

  it("tells of what has gone and was to stay", async () => {
    using copier = openCopier({ passing: /\/passing\d+'/ });
    await expect(passesBy(copier, "other")).rejects.toThrow("No such file or directory");
  });

  it("says what cp says", async () => {
    using copier = openCopier();
    await expect(copier.copy(inside("gone"), inside("to"))).rejects.toThrow(/gone.*No such file/);
    await expect(copier.copy(inside("a\nb"), inside("to"))).rejects.toThrow("line break");
  });

  it("fails what is under way when its shell ends, and starts another", async () => {
    using copier = openCopier();
    execFileSync("mkfifo", [inside("from/sub/pipe")]);
    await mkdir(inside("to"));
    const [shell = 0] = shells();
    process.kill(shell, "SIGSTOP");
    const cut = copier.copy(inside("from"), inside("to"));
    process.kill(shell, "SIGKILL");
    await expect(cut).rejects.toThrow("has ended");
    await copier.copy(inside("from"), inside("to"));
    expect(shells()).not.toContain(shell);
  });
});
