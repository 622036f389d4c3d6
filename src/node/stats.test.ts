import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseRssBytes, readGroups, readHeld } from "./stats.js";

let path: string;
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), "ramet-stats-"));
});
afterEach(() => rmSync(path, { recursive: true }));

function files(contents: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(contents)) writeFileSync(join(path, name), text);
}

describe("usage", () => {
  it("is read in version 1", async () => {
    files({
      "cpuacct.usage": "1234567890\n",
      "memory.usage_in_bytes": "5000\n",
      "memory.limit_in_bytes": "9223372036854771712\n",
      "memory.stat": "cache 900\nrss 100\ntotal_rss 4096\n",
      "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
      "pids.current": "7\n",
      "pids.max": "512\n",
    });
    expect(await readGroups(() => ({ version: 1, path }))).toEqual({
      cpuUsageNs: 1_234_567_890n,
      ...{ memoryUsageBytes: 5000, memoryRssBytes: 4096, oomKills: 3, pids: 7, pidsLimit: 512 },
    });
  });

  it("is read in version 2", async () => {
    files({
      "cpu.stat": "usage_usec 1500\nuser_usec 1000\n",
      "memory.current": "5000\n",
      "memory.max": "1048576\n",
      "memory.stat": "anon 4096\nfile 900\n",
      "memory.events": "low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\n",
      "pids.current": "7\n",
      "pids.max": "max\n",
    });
    expect(await readGroups(() => ({ version: 2, path }))).toEqual({
      cpuUsageNs: 1_500_000n,
      ...{ memoryUsageBytes: 5000, memoryRssBytes: 4096, memoryLimitBytes: 1_048_576, oomKills: 1, pids: 7 },
    });
  });

  it.each([
    [1, "memory.usage_in_bytes", "total_rss 4096\ntotal_cache 3000\ntotal_shmem 1000\n", 9000 - 2000],
    [2, "memory.current", "anon 4096\nfile 3000\nshmem 1000\n", 9000 - 2000],
    // The numbers are not of one instant.
    [2, "memory.current", "anon 8500\nfile 3000\n", 8500],
  ] as const)("of its own is without page cache of files, version %d", async (version, usage, stat, held) => {
    files({ [usage]: "9000\n", "memory.stat": stat });
    expect(await readHeld({ version, path })).toBe(held);
  });

  it("of a process comes from its status", () => {
    expect(parseRssBytes("Name:\tguest\nVmRSS:\t     816 kB\nThreads:\t1\n")).toBe(816 * 1024);
    expect(parseRssBytes("Name:\tguest\nState:\tZ (zombie)\n")).toBe(0);
  });
});
