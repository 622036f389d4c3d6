/** The programs in examples/ and what README.md says to type, run as a user runs them after scripts/quickstart. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa, type Options } from "execa";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { formatAddress } from "../../src/lib/address.js";
import { waitUntil } from "../../src/lib/signal.js";
import { openTestAgent, type TestAgent } from "../support/agent.js";
import { freeAddress } from "../support/registry-process.js";

const checkout = fileURLToPath(new URL("../..", import.meta.url));
let agent: TestAgent;
let url: string;

beforeAll(async () => {
  const [rest, nodes] = await Promise.all([freeAddress(), freeAddress()]);
  url = `http://${formatAddress(rest)}`;
  agent = await openTestAgent("examples", { rest, nodes });
  await agent.start();
  const { stdout: archive } = await execa("scripts/build-image", ["--root", "/var/cache/ramet", "python"], {
    cwd: checkout,
  });
  await ramet("image", "import", archive, "--name", "debian-python");
  await ramet("template", "build", "python", "--image", "debian-python", "--memory", "1g");
  const isKnown = async () => (await (await fetch(`${url}/templates`)).text()).includes('"python"');
  await waitUntil("the registry knows the template", isKnown, { intervalMs: 50, timeoutMs: 60_000 });
});
afterAll(async () => {
  await agent?.[Symbol.asyncDispose]();
});
// Each example removes what it has made.
afterEach(async () => {
  expect(await ramet("ps", "--all", "--quiet")).toBe("");
});

const sdk = () => ({ E2B_API_URL: url, E2B_SANDBOX_URL: url, E2B_API_KEY: "e2b_0" });

/** Fails when the command fails. Gives its standard output. */
async function run(command: string, args: readonly string[], options: Options = {}): Promise<string> {
  const { stdout } = await execa(command, args, { cwd: checkout, env: sdk(), timeout: 100_000, ...options });
  return String(stdout);
}

const ramet = (...words: readonly string[]) =>
  run(process.execPath, ["dist/bin/ramet.js", "--socket", agent.socketPath, ...words]);

describe.each([
  ["quickstart-js", process.execPath, "examples/quickstart-js/quickstart.mjs"],
  ["quickstart-python", "python3", "examples/quickstart-python/quickstart.py"],
])("%s", (_name, command, program) => {
  it("shows a sandbox's life, in which one process counts on", async () => {
    const output = await run(command, [program]);
    const counts = [...output.matchAll(/ counts(?: on)?: (\d+)$/gm)].map(([, count]) => Number(count));
    // Before the pause, after it, and in both forks, which count side by side.
    expect(counts).toHaveLength(4);
    const [before = 0, after = 0, ...forked] = counts;
    expect(after).toBeGreaterThan(before);
    expect(Math.min(...forked)).toBeGreaterThan(after);
    const number = String.raw`\d+`;
    const id = "[a-z0-9]{20}";
    const lines = [
      `created   ${id}`,
      "command   hello from user",
      "file      good morning",
      ...["output    line 1", "output    line 2", "output    line 3"],
      `process   ${number} counts: ${number}`,
      'paused    its state is "paused"',
      `connected process ${number} counts on: ${number}`,
      ...Array.from({ length: 2 }, () => `fork      ${id}: its own process ${number} counts on: ${number}`),
      'source    still says "good morning"',
      "killed    all 3.*",
    ];
    expect(output).toMatch(new RegExp(`^${lines.join("\n")}$`));
  });
});

describe("rl-env", () => {
  it("is kept at step 1000 and gone on from, through the SDK", async () => {
    const output = await run(process.execPath, ["examples/rl-env/sdk.mjs"]);
    expect(output.match(/✓/g)).toHaveLength(5);
    expect(output).toContain("kept as default/rl-env-checkpoint-step1000:default");
    expect(output).toContain("best: centered");
  });
});

describe("debug-agent", () => {
  const scratch = mkdtempSync(join(tmpdir(), "ramet-debug-agent-"));
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));
  const debug = async (name: string) => {
    const folder = "examples/debug-agent/submissions";
    const files = [`${folder}/${name}`, `${folder}/stock.csv`];
    const words = ["run", "--silent", "debug-agent", "--", "--out", scratch, "--seconds", "3", ...files];
    return readFileSync((await run("npm", words, { env: { ...sdk(), OPENAI_MODEL: "" } })).trim(), "utf8");
  };

  it("runs what it is given in forks, repairs what a rule can, and says who judged", async () => {
    const report = await debug("settings.py");
    expect(report).toContain("(RuleBasedModel), which stands in for a language model");
    expect(report).toContain("It fails: **NameError** name 'json' is not defined");
    expect(report).toContain("1. run_code\n2. look_up_history\n3. run_code");
    expect(report).toMatch(/## A version that runs\n\n```python\nimport json\n/);
    expect(report).toMatch(/a changed version in [a-z0-9]{20}: exit code 0/);
  });

  it("ends what does not end", async () => {
    expect(await debug("countdown.py")).toContain("It fails: **timeout**");
  });

  it("remembers, and finds it in its history", async () => {
    expect(await debug("average.py")).toContain("The history has no session with this error.");
    const again = await debug("average.py");
    expect(again).toContain("It fails: **ZeroDivisionError**");
    expect(again).toContain("The history has it: average.py (");
    expect(again).toContain("It had the same error in its last session");
  });
});

describe("each example", () => {
  it("asks nobody while no address is given", async () => {
    const programs = [
      [process.execPath, "examples/quickstart-js/quickstart.mjs"],
      [process.execPath, "examples/rl-env/sdk.mjs"],
      ["python3", "examples/quickstart-python/quickstart.py"],
    ] as const;
    const env = { E2B_API_URL: "", E2B_DOMAIN: "" };
    for (const [command, program] of programs) {
      const { exitCode, stderr } = await execa(command, [program], { cwd: checkout, env, reject: false });
      expect({ program, exitCode }).toEqual({ program, exitCode: 2 });
      expect(stderr).toContain("E2B_API_URL is not set");
      expect(stderr).toContain("http://127.0.0.1:7070");
    }
  });
});

describe("README.md", () => {
  it("has commands for the SDK that work as they stand", async () => {
    const readme = readFileSync(`${checkout}/README.md`, "utf8");
    const section = /\n## Use it from the E2B SDK\n(.*?)\n## /s.exec(readme)?.[1] ?? "";
    const [block = ""] = [...section.matchAll(/```\n(.*?)```/gs)].map(([, text]) => text);
    expect(block).toContain("http://127.0.0.1:7070");
    const output = await run("bash", ["-euc", block.replaceAll("http://127.0.0.1:7070", url)]);
    expect(output).toContain("hello from /tmp/greeting.py");
    expect(output.match(/ has it$/gm)).toHaveLength(3);
  });
});
