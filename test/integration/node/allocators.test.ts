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
});
afterAll(() => rmSync(built, { recursive: true }));

const library = (name: string) => ({ LD_PRELOAD: `/usr/lib/x86_64-linux-gnu/${name}` });

interface Program {
  readonly file: string;
  readonly run: string;
  readonly env?: Record<string, string>;
}

const c: Program = { file: join(built, "c"), run: "/srv/program" };
const programs: ReadonlyArray<readonly [string, Program]> = [
  ["glibc with an arena for each thread", { ...c, env: { MALLOC_TRIM_THRESHOLD_: "4096" } }],
  ["glibc without mappings of single blocks", { ...c, env: { MALLOC_MMAP_MAX_: "0", MALLOC_TOP_PAD_: "0" } }],
  [
    "jemalloc that gives back at once",
    {
      ...c,
      env: { ...library("libjemalloc.so.2"), MALLOC_CONF: "dirty_decay_ms:0,muzzy_decay_ms:0,narenas:4" },
    },
  ],
  ["jemalloc as it is by itself", { ...c, env: library("libjemalloc.so.2") }],
  [
    "mimalloc that gives back at once",
    { ...c, env: { ...library("libmimalloc.so.2.0"), MIMALLOC_RESET_DELAY: "0", MIMALLOC_PAGE_RESET: "1" } },
  ],
  [
    "mimalloc that decommits",
    {
      ...c,
      env: { ...library("libmimalloc.so.2.0"), MIMALLOC_DECOMMIT_DELAY: "0", MIMALLOC_ALLOW_DECOMMIT: "1" },
    },
  ],
  ["Node", { file: join(sources, "churn.cjs"), run: "node --expose-gc /srv/program" }],
  ["Python", { file: join(sources, "churn.py"), run: "python3 /srv/program" }],
  ["Go", { file: join(built, "go"), run: "/srv/program" }],
];

async function start(ref: string, { file, run, env = {} }: Program): Promise<void> {
  async function* content() {
    yield readFileSync(file);
  }
  const at = { sandbox: ref, path: "/srv/program", user: "root" };
  await box.node.files.write(at, { mode: 0o755, parents: false }, content(), soon());
  await box.sh(ref, "mkfifo /srv/in; touch /srv/out");
  await box.start(ref, ["bash", "-c", `exec ${run} <>/srv/in >>/srv/out 2>&1`], { env });
  expect(await answer(ref, 1)).toBe("ok");
}

/** The line that is the answer to so many rounds. */
const answer = (ref: string, round: number) =>
  box.sh(
    ref,
    `timeout 60 bash -c 'until [ "$(wc -l < /srv/out)" -ge ${round} ]; do sleep 0.02; done'; tail -n +${round} /srv/out`,
  );

async function churn(ref: string, round: number): Promise<void> {
  await box.sh(ref, "echo go > /srv/in");
  expect(await answer(ref, round), `round ${round} in ${ref}`).toBe("ok");
}

it.each(programs)("%s", async (_name, program) => {
  const { id } = await box.create();
  await start(id, program);
  const clones = (await box.fork(id, { count: 2 })).map((clone) => clone.id);
  expect(memoryOfSandbox(box, clones[0] ?? "")[0]?.bytes).toBeGreaterThan(4 * MiB);
  for (const ref of clones) for (const round of [2, 3]) await churn(ref, round);
  const [first = ""] = clones;
  const [grandchild] = await box.fork(first);
  await box.node.sandboxes.pause(first, soon());
  await box.node.sandboxes.resume(first, soon());
  for (const ref of [first, grandchild?.id ?? ""]) await churn(ref, 4);
});
