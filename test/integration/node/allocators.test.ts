/** Programs that give memory back and count on zeros when they get it again, in clones that share memory. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openBox, soon } from "../../support/box.js";
import { MiB, memoryOfSandbox } from "./holder.js";

const box = openBox("allocators");
const sources = join(import.meta.dirname, "programs");
const built = mkdtempSync(join(tmpdir(), "ramet-programs-"));

beforeAll(async () => {
  await execa("gcc", [
    "-O2",
    "-Wall",
    "-Werror",
    "-pthread",
    "-o",
    join(built, "c"),
    join(sources, "churn.c"),
  ]);
  const env = { CGO_ENABLED: "0", GOCACHE: join(built, "cache"), GO111MODULE: "off" };
  await execa("go", ["build", "-o", join(built, "go"), join(sources, "churn.go")], { env });
  await buildJava();
}, 60_000);
afterAll(() => rmSync(built, { recursive: true }));

/** As an archive that runs anywhere: what the program needs of the JDK, and the program. */
async function buildJava(): Promise<void> {
  const java = join(built, "java");
  const without = ["--strip-debug", "--no-man-pages", "--no-header-files"];
  await execa("jlink", ["--add-modules", "java.base", ...without, "--output", java]);
  await execa("javac", ["-d", java, join(sources, "Churn.java")]);
  await execa("tar", ["-C", java, "-cf", `${java}.tar`, "."]);
}

/** A heap that becomes as small as it can whenever it is collected. */
const java = (flags: string): Program => ({
  file: join(built, "java.tar"),
  run: `bin/java -Xmx128m -XX:MinHeapFreeRatio=5 -XX:MaxHeapFreeRatio=10 ${flags} -cp . Churn`,
  isArchive: true,
});

const preload = (name: string) => ({ LD_PRELOAD: `/usr/lib/x86_64-linux-gnu/${name}` });

interface Program {
  readonly file: string;
  readonly run: string;
  readonly env?: Record<string, string>;
  readonly isArchive?: boolean;
}

const c: Program = { file: join(built, "c"), run: "./program" };
const programs: ReadonlyArray<readonly [string, Program]> = [
  ["glibc with an arena for each thread", { ...c, env: { MALLOC_TRIM_THRESHOLD_: "4096" } }],
  ["glibc without mappings of single blocks", { ...c, env: { MALLOC_MMAP_MAX_: "0", MALLOC_TOP_PAD_: "0" } }],
  [
    "jemalloc that gives back at once",
    {
      ...c,
      env: { ...preload("libjemalloc.so.2"), MALLOC_CONF: "dirty_decay_ms:0,muzzy_decay_ms:0,narenas:4" },
    },
  ],
  ["jemalloc as it is by itself", { ...c, env: preload("libjemalloc.so.2") }],
  [
    "mimalloc that gives back at once",
    { ...c, env: { ...preload("libmimalloc.so.2.0"), MIMALLOC_RESET_DELAY: "0", MIMALLOC_PAGE_RESET: "1" } },
  ],
  [
    "mimalloc that decommits",
    {
      ...c,
      env: { ...preload("libmimalloc.so.2.0"), MIMALLOC_DECOMMIT_DELAY: "0", MIMALLOC_ALLOW_DECOMMIT: "1" },
    },
  ],
  ["Node", { file: join(sources, "churn.cjs"), run: "node --expose-gc program" }],
  ["Python", { file: join(sources, "churn.py"), run: "python3 program" }],
  ["Go", { file: join(built, "go"), run: "./program" }],
  // Its own threads collect meanwhile, too.
  ["Java as it is on a large machine", java("-XX:+UseG1GC -XX:G1PeriodicGCInterval=500")],
  ["Java as it is on a small machine", java("-XX:+UseSerialGC -Xms16m -Xmn8m -XX:-ShrinkHeapInSteps")],
];

const names = programs.map(([name]) => name);
const place = (name: string) => `/srv/${names.indexOf(name)}`;

async function start(ref: string, name: string, program: Program): Promise<void> {
  const { file, run, env = {}, isArchive = false } = program;
  const at = place(name);
  async function* content() {
    yield readFileSync(file);
  }
  await box.sh(ref, `mkdir ${at}; mkfifo ${at}/in; touch ${at}/out`);
  const target = { sandbox: ref, path: `${at}/program`, user: "root" };
  await box.node.files.write(target, { mode: 0o755, parents: false }, content(), soon());
  if (isArchive) await box.sh(ref, `tar -C ${at} -xf ${at}/program; rm ${at}/program`);
  await box.start(ref, ["bash", "-c", `cd ${at}; exec ${run} <>in >>out 2>&1`], { env });
}

/** What each program says at the end of so many rounds: one line for each, `ok` when every byte was right. */
async function answers(ref: string, round: number): Promise<Readonly<Record<string, string>>> {
  const said = names.map(async (name) => {
    const out = `${place(name)}/out`;
    const isThere = `[ "$(wc -l < ${out})" -ge ${round} ]`;
    const wait = `timeout 60 bash -c 'until ${isThere}; do sleep 0.05; done'`;
    return [name, await box.sh(ref, `${wait}; tail -n +${round} ${out}`)] as const;
  });
  return Object.fromEntries(await Promise.all(said));
}

const allRight = Object.fromEntries(names.map((name) => [name, "ok"]));

async function churn(ref: string, round: number): Promise<void> {
  await box.sh(ref, "for in in /srv/*/in; do echo go > $in; done");
  expect(await answers(ref, round), `round ${round}`).toEqual(allRight);
}

// All of them in one sandbox, because its forks take longest.
it("finds zeros where it counts on them: in clones, after a pause, and in a clone of a clone", async () => {
  const { id } = await box.create();
  for (const [name, program] of programs) await start(id, name, program);
  expect(await answers(id, 1)).toEqual(allRight);
  const [first = "", second = ""] = (await box.fork(id, { count: 2 })).map((clone) => clone.id);
  const shared = memoryOfSandbox(box, first);
  expect(shared.length).toBeGreaterThanOrEqual(programs.length);
  for (const { bytes } of shared) expect(bytes).toBeGreaterThan(4 * MiB);
  for (const round of [2, 3]) await churn(first, round);
  await churn(second, 2);
  const [grandchild] = await box.fork(first);
  await box.node.sandboxes.pause(first, soon());
  await box.node.sandboxes.resume(first, soon());
  for (const ref of [first, grandchild?.id ?? ""]) await churn(ref, 4);
});
