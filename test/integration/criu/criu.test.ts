import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { criuConfig } from "../../../src/criu/config.js";
import { checkCriu, readCriuVersion, readRuncVersion } from "../../../src/criu/features.js";
import { checkInventory, readDumpStats } from "../../../src/criu/images.js";
import { dumpError, restoreError } from "../../../src/criu/log.js";
import { waitUntil } from "../../../src/lib/signal.js";
import { testRuntime } from "../../support/containerd.js";

const bin = join(testRuntime().prefix, "bin");
const criu = join(bin, "criu");

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "ramet-criu-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Dumps a process that runs the script, once the script calls `ready`; ends it. Python, as newer Nodes use io_uring. */
async function dumpOf(script: string, signal: AbortSignal) {
  const images = await mkdtemp(join(dir, "images-"));
  const marker = join(images, "ready");
  const program = [
    "import socket, time",
    `ready = lambda: open(${JSON.stringify(marker)}, "w").close()`,
    script,
    "while True: time.sleep(1)",
  ];
  const options = { detached: true, stdio: "ignore", reject: false } as const;
  const subject = execa("python3", ["-c", program.join("\n")], options);
  try {
    const wait = { intervalMs: 10, timeoutMs: 60_000 };
    await waitUntil("the process to dump", () => existsSync(marker), wait, signal);
    const words = ["dump", "-t", String(subject.pid), "-D", images, "-v4", "-o", "dump.log"];
    const { exitCode } = await execa(criu, words, { reject: false });
    return { images, exitCode, log: await readFile(join(images, "dump.log"), "utf8") };
  } finally {
    subject.kill("SIGKILL");
    await subject;
  }
}

const soon = () => AbortSignal.timeout(60_000);

describe("the installed programs", () => {
  it("tell their versions, and CRIU works here", async () => {
    expect(await readCriuVersion(criu)).toMatch(/^\d+\.\d+/);
    expect(await readRuncVersion(join(bin, "runc"))).toMatch(/^\d+\.\d+/);
    expect(await checkCriu(criu)).toMatchObject({ passed: true });
    await expect(readCriuVersion("/bin/true")).rejects.toMatchObject({ code: "failed_precondition" });
    await expect(readCriuVersion("/no/such/criu")).rejects.toMatchObject({ code: "failed_precondition" });
  });

  it("take our configuration, and would refuse an unknown option in it", async () => {
    const file = join(dir, "criu.conf");
    const check = async (text: string) => {
      await writeFile(file, text);
      return (await execa(criu, ["check", "--config", file], { reject: false })).exitCode;
    };
    expect(await check(criuConfig())).toBe(0);
    expect(await check(`${criuConfig()}no-such-option\n`)).not.toBe(0);
  });
});

describe("a dump", () => {
  it("leaves images that are known again", async () => {
    const { images, exitCode, log } = await dumpOf("ready()", soon());
    expect(exitCode, log.slice(-2000)).toBe(0);
    checkInventory(await readFile(join(images, "inventory.img")));
    const stats = readDumpStats(await readFile(join(images, "stats-dump")));
    expect(stats.pagesWritten).toBeGreaterThan(100);
    expect(stats.frozenUs).toBeGreaterThan(0);
  });

  it("that fails is explained by its log", async () => {
    const tcp = [
      'server = socket.create_server(("127.0.0.1", 0))',
      "client = socket.create_connection(server.getsockname())",
      "peer = server.accept()",
      "ready()",
    ];
    const { exitCode, log } = await dumpOf(tcp.join("\n"), soon());
    expect(exitCode).not.toBe(0);
    expect(dumpError("s1", log, undefined).message).toBe("cannot dump sandbox s1: a TCP connection is open");
  });
});

it("a restore from a damaged image is explained by its log", async () => {
  const { images } = await dumpOf("ready()", soon());
  const inventory = join(images, "inventory.img");
  const bytes = await readFile(inventory);
  bytes[0] = 0;
  await writeFile(inventory, bytes);
  expect(() => checkInventory(bytes)).toThrow(/damaged/);
  const { exitCode } = await execa(criu, ["restore", "-D", images, "-o", "restore.log", "-v4"], {
    reject: false,
  });
  expect(exitCode).not.toBe(0);
  const log = await readFile(join(images, "restore.log"), "utf8");
  expect(restoreError("s2", log, undefined).message).toBe(
    "cannot restore sandbox s2: the checkpoint is damaged: inventory.img",
  );
});
