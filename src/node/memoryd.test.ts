import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openMemoryd } from "./memoryd.js";

let root: string;
let server: Server;
/** What it has been asked, and what it answers next. */
let asked: string[];
let answers: string[];

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "memoryd-"));
  asked = [];
  answers = [];
  server = createServer({ allowHalfOpen: true }, (connection) => {
    connection.once("data", (line) => {
      const request = line.toString().trim();
      if (request === "version") return connection.end("version 1.0.0\n");
      asked.push(request);
      return connection.end(answers.shift() ?? "");
    });
  });
  await new Promise<void>((resolve) => server.listen(join(root, "socket"), resolve));
});
afterEach(() => {
  server.close();
  rmSync(root, { recursive: true });
});

const open = () =>
  openMemoryd({
    ...{ binary: "/nonexistent", socket: join(root, "socket"), logPath: join(root, "log"), isForeign: true },
    log: { warn() {}, info() {} },
  });

it("is asked again before a dump about threads that it has left, and about no others", async () => {
  await using memoryd = await open();
  answers = ["adopted 2 pending 1\n", "adopted 1\n", "adopted 0 pending 1\n", "adopted 0\n"];
  expect(await memoryd.adopt("/a/cgroup.procs")).toEqual({ pending: 1 });
  expect(await memoryd.adopt("/b/cgroup.procs")).toEqual({ pending: 0 });
  for (const path of ["b", "a", "a", "a"]) await memoryd.settle(`/${path}/cgroup.procs`);
  expect(asked).toEqual(["a", "b", "a", "a"].map((path) => `adopt /${path}/cgroup.procs`));
});
