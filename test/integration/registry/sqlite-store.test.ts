/** The registry's SQLite file with other processes and full disks around it. */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runProgram } from "../../../src/lib/run-program.js";
import { openScope } from "../../../src/lib/scope.js";
import { openSqliteStore } from "../../../src/registry-store/sqlite/open-sqlite-store.js";
import {
  registryDurabilityContract,
  type SharedPlace,
  startWriter,
} from "../../contract/registry-durability.js";
import { aSandbox, aTeam, furnish, teamId } from "../../contract/registry-records.js";

async function makePlace(): Promise<SharedPlace & { readonly path: string; readonly directory: string }> {
  const directory = await mkdtemp(join(tmpdir(), "ramet-registry-store-"));
  const path = join(directory, "registry.db");
  return {
    directory,
    path,
    open: () => openSqliteStore(path),
    opener: {
      module: "registry-store/sqlite/open-sqlite-store.js",
      name: "openSqliteStore",
      options: [path],
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

registryDurabilityContract("SQLite", makePlace);

describe("a second process", () => {
  it("is refused in words, and gets the file when the first is gone", async () => {
    await using place = await makePlace();
    {
      await using store = await place.open();
      await furnish(store);
    }
    await using scope = openScope();
    const { child, lines, errors } = startWriter(place.opener);
    const closed = once(child, "close");
    scope.defer(() => child.kill("SIGKILL"));
    const [first] = await once(lines, "line");
    expect(first, errors()).toBe("open");
    await expect(openSqliteStore(place.path, { lockWaitMs: 50 })).rejects.toMatchObject({
      code: "unavailable",
      message: `opening ${place.path}: the database is locked by another process`,
    });
    child.kill("SIGKILL");
    await closed;
    await using store = await place.open();
    expect(await store.teams.get(teamId("t1"))).toEqual(aTeam("t1"));
  });
});

describe("a full disk", () => {
  it("fails what is written, reads on, loses nothing, and writes again once there is room", async () => {
    await using place = await makePlace();
    await using scope = openScope();
    const run = async (program: string, ...args: string[]) =>
      expect(await runProgram(program, args, { timeoutMs: 10_000 })).toMatchObject({ complaint: "" });
    await run("mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", place.directory);
    scope.defer(() => run("umount", place.directory));
    const store = scope.use(await place.open());
    await furnish(store);
    const metadata = { filler: "x".repeat(2000) };
    const acknowledged: string[] = [];
    let refused = 0;
    for (let batch = 0; batch < 200 && refused < 3; batch++) {
      const ids = Array.from({ length: 10 }, (_, n) => `s${batch}-${n}`);
      const settled = await Promise.allSettled(
        ids.map((id) => store.sandboxes.insert([aSandbox(id, { metadata })])),
      );
      const failures = settled.flatMap((it) => (it.status === "rejected" ? [it.reason] : []));
      for (const reason of failures) expect(reason).toMatchObject({ code: "resource_exhausted" });
      if (failures.length === 0) acknowledged.push(...ids);
      else expect(failures.length).toBe(ids.length);
      refused += failures.length === 0 ? 0 : 1;
    }
    expect(refused).toBe(3);
    expect(acknowledged.length).toBeGreaterThan(50);
    const kept = await store.sandboxes.list({
      ...{ team: teamId("t1"), states: [], metadata: {}, order: "newest", limit: 1000 },
    });
    expect(kept.map(({ id }) => id).sort()).toEqual([...acknowledged].sort());
    await run("mount", "-o", "remount,size=8m", place.directory);
    await store.sandboxes.insert([aSandbox("after")]);
    expect(await store.sandboxes.get("after")).toEqual(aSandbox("after"));
  });
});
