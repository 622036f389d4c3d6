/** The image code-interpreter through E2B's own client of it, unmodified. */
import { type Execution, Sandbox, SandboxError, TimeoutError } from "@e2b/code-interpreter";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { becomes, drain } from "../../support/box.js";
import { interpreterImage } from "../../support/interpreter-image.js";
import { mainKey, openRegistryBox } from "../../support/registry-box.js";

const archive = interpreterImage();

describe.skipIf(archive === undefined)("the code interpreter", () => {
  const box = openRegistryBox("interpreter");
  const options = () => ({ apiKey: mainKey, apiUrl: box.url, sandboxUrl: box.url, timeoutMs: 900_000 });
  const template = "code-interpreter-v1";
  const create = (more: object = {}) => Sandbox.create(template, { ...options(), ...more });

  let sandbox: Sandbox;
  beforeAll(async () => {
    const { node } = box.test;
    await drain(
      node.images.import(archive ?? "", { name: "code-interpreter" }, AbortSignal.timeout(300_000)),
    );
    const spec = {
      ...{ name: template, image: "code-interpreter", startCommand: "code-interpreter", env: {}, limits: {} },
      ...{ readyCommand: "curl -sf http://localhost:49999/health", readyTimeoutMs: 240_000 },
      allowPrivilegeEscalation: true,
    };
    await drain(node.templates.build(spec, { replace: true }, AbortSignal.timeout(300_000)));
    await becomes(
      "the template known",
      async () => {
        sandbox = await create();
        return true;
      },
      60_000,
    );
  }, 600_000);
  afterAll(async () => {
    for (const id of await box.onNode()) await Sandbox.kill(id, options());
  }, 120_000);

  const outputOf = ({ logs }: Execution) => logs.stdout.join("");

  it("runs Python, keeps what it has made, and counts", async () => {
    await sandbox.runCode("x = 1");
    const { text, executionCount } = await sandbox.runCode("x += 1; x");
    expect({ text, executionCount }).toEqual({ text: "2", executionCount: 2 });
    expect((await sandbox.runCode("Out")).text).toBe("{2: 2}");
    expect(outputOf(await sandbox.runCode("!pwd")).trim()).toBe("/home/user");
    expect((await sandbox.runCode("import getpass; getpass.getuser()")).text).toBe("user");
  });

  it.each([
    ["javascript", "const a = 2; let b = await Promise.resolve(a); b + 1", "3"],
    ["js", "import { join } from 'path'; join('a', String(b))", "a/2"],
    ["ts", "interface P { n: number }; const p: P = { n: 4 }; p.n", "4"],
  ])("runs %s: %s", async (language, code, expected) => {
    expect((await sandbox.runCode(code, { language })).text).toBe(expected);
    expect(outputOf(await sandbox.runCode("console.log(process.cwd())", { language }))).toBe("/home/user\n");
  });

  it("runs bash, and tells how it ended", async () => {
    const bash = (code: string) => sandbox.runCode(code, { language: "bash" });
    await bash("y=7; cd /tmp");
    expect(outputOf(await bash("echo $y; pwd"))).toBe("7\n/tmp\n");
    expect((await bash("false")).error).toMatchObject({ name: "ExitStatus", value: "1" });
  });

  it("streams what is written while the code runs, and its results", async () => {
    const seen: string[] = [];
    const code = "import sys, time\nprint('a', flush=True)\ntime.sleep(1)\nprint('b', file=sys.stderr)\n5";
    const { logs } = await sandbox.runCode(code, {
      onStdout: ({ line }) => seen.push(`out ${line}`),
      onStderr: ({ line }) => seen.push(`err ${line}`),
      onResult: ({ text }) => seen.push(`result ${text}`),
    });
    expect(seen).toEqual(["out a\n", "err b\n", "result 5"]);
    expect(logs).toEqual({ stdout: ["a\n"], stderr: ["b\n"] });
  });

  it("gives results in their formats", async () => {
    const [table] = (await sandbox.runCode("import pandas as pd\npd.DataFrame({'a': [1, 2]})")).results;
    expect(table).toMatchObject({ data: { a: [1, 2] }, html: expect.stringContaining("<table") });
    const shown =
      "from IPython.display import *\nfor one in (HTML('<b>'), Markdown('*m*'), SVG('<svg/>'), Latex('$x$')):\n  display(one)\n{'a': [1]}";
    const { results } = await sandbox.runCode(shown);
    expect(results.map((result) => result.formats())).toEqual([
      ["html"],
      ["markdown"],
      ["svg"],
      ["latex"],
      ["json"],
    ]);
    expect(results.at(-1)?.json).toEqual({ a: [1] });
    const saved =
      "from PIL import Image\nimage = Image.new('RGB', (2, 2))\nimage.show(); image.save('/tmp/t.png'); image";
    const pictures = (await sandbox.runCode(saved)).results;
    expect(pictures.map(({ png }) => png?.slice(0, 8))).toEqual(Array(3).fill("iVBORw0K"));
  });

  it.each([
    [
      "line",
      "plt.plot([1, 2], [3, 4], label='l')",
      {
        elements: [
          {
            label: "l",
            points: [
              [1, 3],
              [2, 4],
            ],
          },
        ],
        x_scale: "linear",
      },
    ],
    ["scatter", "plt.scatter([1], [2], label='s')", { elements: [{ label: "s", points: [[1, 2]] }] }],
    [
      "bar",
      "plt.bar(['A', 'B'], [3, 4], label='g')",
      {
        elements: [
          { label: "A", group: "g", value: 3 },
          { label: "B", group: "g", value: 4 },
        ],
      },
    ],
    [
      "pie",
      "plt.pie([9, 1], labels=['a', 'b'])",
      {
        elements: [
          { label: "a", angle: 324, radius: 1 },
          { label: "b", angle: 36, radius: 1 },
        ],
      },
    ],
    [
      "box_and_whisker",
      "plt.boxplot([[84, 89, 76, 91, 95, 87]], patch_artist=True)",
      {
        elements: [
          {
            label: "1",
            min: 84,
            first_quartile: 84.75,
            median: 88,
            third_quartile: 90.5,
            max: 95,
            outliers: [76],
          },
        ],
      },
    ],
    [
      "superchart",
      "plt.subplot(121); plt.plot([1]); plt.subplot(122); plt.bar([1], [2])",
      { elements: [{ type: "line" }, { type: "bar" }] },
    ],
    ["unknown", "plt.gca().add_artist(plt.Circle((0, 0), 1))", { elements: [] }],
  ])("gives the data of a chart: %s", async (type, draw, data) => {
    const code = `import matplotlib.pyplot as plt\n${draw}\nplt.xlabel('time (s)')\nplt.title('T')\nplt.show()`;
    const { results, error } = await sandbox.runCode(code);
    expect(error).toBeUndefined();
    expect(results[0]?.png).toBeDefined();
    expect(results[0]?.chart).toMatchObject({ type, ...data });
    if (type === "line")
      expect(results[0]?.chart).toMatchObject({ title: "T", x_label: "time (s)", x_unit: "s" });
  });

  it.each([
    ["python", "def f():\n  return nothing\nf()", "NameError", "line 2"],
    ["javascript", "function f() {\n  return nothing;\n}\nf()", "ReferenceError", "code.js:2"],
    ["ts", "const x: = 1", "SyntaxError", "x: = 1"],
  ])("tells errors of %s with where they come from", async (language, code, name, where) => {
    const { error } = await sandbox.runCode(code, { language });
    expect(error).toMatchObject({ name, traceback: expect.stringContaining(where) });
  });

  it.each([
    ["python", "import os; os.environ.get('ONE', '-') + os.environ.get('TWO', '-')"],
    ["javascript", "(process.env.ONE ?? '-') + (process.env.TWO ?? '-')"],
    ["bash", '[ -v TWO ] || TWO=-; echo "$ONE$TWO"; unset TWO'],
  ])("gives %s the sandbox's environment, and a run's own", async (language, code) => {
    const own = await create({ envs: { ONE: "global" } });
    const said = async (envs: Record<string, string>) => {
      const execution = await own.runCode(code, { language, envs });
      return execution.text ?? outputOf(execution).trim();
    };
    expect(await said({})).toBe("global-");
    expect(await said({ ONE: "a ", TWO: "it's" })).toBe("a it's");
    expect(await said({})).toBe("global-");
    await own.kill();
  });

  it("makes, lists, restarts and removes contexts", async () => {
    const contexts = () => sandbox.listCodeContexts();
    expect((await contexts()).map(({ language }) => language)).toEqual(
      expect.arrayContaining(["python", "javascript"]),
    );
    const context = await sandbox.createCodeContext({ cwd: "/tmp" });
    expect((await contexts()).at(-1)).toEqual({ ...context, language: "python", cwd: "/tmp" });
    await sandbox.runCode("z = 1", { context });
    expect((await sandbox.runCode("z")).error?.name).toBe("NameError");
    expect((await sandbox.runCode("import os; z, os.getcwd()", { context })).text).toBe("(1, '/tmp')");
    await sandbox.restartCodeContext(context);
    expect((await sandbox.runCode("z", { context })).error?.name).toBe("NameError");
    await sandbox.removeCodeContext(context);
    await expect(sandbox.runCode("1", { context })).rejects.toThrow(/not found/);
    await expect(sandbox.createCodeContext({ cwd: "/nowhere" })).rejects.toThrow(SandboxError);
    await expect(sandbox.createCodeContext({ language: "r" })).rejects.toThrow(SandboxError);
  });

  it.each([
    ["python", "import time\nmarker = 1\ntime.sleep(300)", "marker"],
    ["python", "import asyncio\nmarker = 1\nawait asyncio.sleep(300)", "marker"],
    ["javascript", "var marker = 1; while (true);", "marker"],
    ["bash", "marker=1; sleep 300", "echo $marker"],
  ])("interrupts %s when its time is up, and keeps its state", async (language, code, after) => {
    await expect(sandbox.runCode(code, { language, timeoutMs: 1_500 })).rejects.toThrow(TimeoutError);
    const execution = await sandbox.runCode(after, { language });
    expect(execution.text ?? outputOf(execution).trim()).toBe("1");
  });

  it("ends what runs and waits in a context that is restarted or removed, and leaves no kernel", async () => {
    const count = "pgrep -fc '[k]ernels/python.py'";
    const kernels = async () => (await sandbox.commands.run(count, { user: "root" })).stdout.trim();
    const before = await kernels();
    const context = await sandbox.createCodeContext();
    const begin = async () => {
      const first = sandbox.runCode("import time; time.sleep(300)", { context });
      await sandbox.runCode("import time; time.sleep(0.5)");
      const waiting = ["1", "2"].map((code) => sandbox.runCode(code, { context }));
      await sandbox.runCode("time.sleep(0.5)");
      return [first, ...waiting];
    };
    const ended = (name: string) => ({ error: expect.objectContaining({ name }) });
    const first = await begin();
    await Promise.all([1, 2].map(() => sandbox.restartCodeContext(context)));
    const went = await Promise.all(first);
    expect(went[0]).toMatchObject(ended("ContextRestarting"));
    expect(went.slice(1).map(({ text }) => text)).toEqual(["1", "2"]);
    const second = await begin();
    await sandbox.removeCodeContext(context);
    for (const run of second) expect(await run).toMatchObject(ended("ContextRemoved"));
    expect(await kernels()).toBe(before);
  });

  it.each([
    ["python", "for i in range(10_000): print('x', flush=True)", 20_000],
    ["python", "import os\n_ = os.system('head -c 3000 /dev/urandom; yes | head -c 300000')", 302_000],
    ["javascript", "for (let i = 0; i < 5; i++) console.log('x'.repeat(999_999))", 5_000_000],
    ["bash", "yes | head -c 1000000", 1_000_000],
  ])("passes on all that %s writes: %s", async (language, code, least) => {
    const execution = await sandbox.runCode(code, { language, timeoutMs: 60_000 });
    expect(execution.error).toBeUndefined();
    expect(outputOf(execution).length).toBeGreaterThanOrEqual(least);
  });

  it("is not held up by what writes on in the background, or by what cannot be shown", async () => {
    const bash = (code: string) => sandbox.runCode(code, { language: "bash", timeoutMs: 20_000 });
    expect((await bash("yes & sleep 0.3")).error).toBeUndefined();
    expect((await bash("kill %1")).error).toBeUndefined();
    const odd = "throw Object.defineProperty(new Error(), 'stack', { get() { throw 1; } })";
    expect((await sandbox.runCode(odd, { language: "js" })).error?.name).toBe("Error");
    const { results } = await sandbox.runCode(
      "import pandas as pd\na = []; a.append(a); pd.DataFrame({'a': [a]})",
    );
    expect(results[0]?.html).toContain("<table");
  });

  it("gives what was printed though another thread is about to send it when the run ends", async () => {
    const print = [
      "import sys, threading, time; from ipykernel.iostream import OutStream",
      "flush = OutStream.flush; OutStream.flush = lambda stream: (time.sleep(0.5), flush(stream))",
      "print('kept'); threading.Thread(target=sys.stdout.flush).start()",
      "time.sleep(0.05); OutStream.flush = flush",
    ];
    expect(outputOf(await sandbox.runCode(print.join("\n")))).toBe("kept\n");
  });

  it("streams what programs write that are given its standard output and error", async () => {
    const start =
      "subprocess.run('echo out; echo err >&2', shell=True, stdout=sys.stdout, stderr=sys.stderr)";
    const { logs } = await sandbox.runCode(`import subprocess, sys; _ = ${start}`);
    expect(logs).toEqual({ stdout: ["out\n"], stderr: ["err\n"] });
  });

  it("says once what was printed before a fork", async () => {
    const fork = [
      "import os, sys",
      "print('before'); child = os.fork()",
      "if child == 0: print('child'); sys.stdout.flush(); os._exit(0)",
      "os.waitpid(child, 0); print('after')",
    ];
    expect(outputOf(await sandbox.runCode(fork.join("\n")))).toBe("before\nchild\nafter\n");
  });

  it("goes on where code has sent messages that nobody can read", async () => {
    const send = [
      "kernel = get_ipython().kernel; session = kernel.session",
      "parts = session.serialize(session.msg('stream', {}, parent=kernel.get_parent('shell')))",
      "kernel.iopub_socket.send_multipart([b'x', *parts[:-1], b'[' * 100_000 + b']' * 100_000])",
      "kernel.iopub_socket.send_multipart([b'x'])",
      "print('sent')",
    ];
    expect(outputOf(await sandbox.runCode(send.join("\n")))).toBe("sent\n");
    expect((await sandbox.runCode("6 * 7")).text).toBe("42");
  });

  it.each([
    ["import sys; sys.stdout = None; kept = 1", undefined],
    ["sys.stdout = sys.stderr = None; 1 / 0", /^AttributeError/],
    ["sys.stdout.close()", undefined],
    ["raise ValueError('half a character: \\ud800')", /^ValueError: half a character: \ufffd/],
  ])("ends a run that leaves nowhere to write, or text that is none: %s", async (code, expected) => {
    const { error } = await sandbox.runCode(code, { timeoutMs: 10_000 });
    const said = error === undefined ? undefined : `${error.name}: ${error.value}`;
    if (expected === undefined) expect(said).toBeUndefined();
    else expect(said).toMatch(expected);
    const after = await sandbox.runCode("print(kept, '\\ud800.'); sys.stdout.flush()");
    expect(outputOf(after)).toBe("1 \ufffd.\n");
  });

  it.each(["python", "javascript", "bash"])("refuses code for %s that is no text", async (language) => {
    const run = sandbox.runCode("'half a character: \ud800'", { language });
    await expect(run).rejects.toThrow(/^400/);
    const env = sandbox.runCode("1", { language, envs: { HALF: "\ud800" } });
    await expect(env).rejects.toThrow(/^400/);
  });

  it("goes on in JavaScript where code has replaced what the kernel uses", async () => {
    await sandbox.runCode("const kept = JSON; JSON = console = null", { language: "js", timeoutMs: 10_000 });
    expect((await sandbox.runCode("JSON = kept; 5", { language: "js" })).text).toBe("5");
  });

  it.each([
    [198, 199],
    [199, 198],
    [30, 199],
  ])("has a bash that is told what to run on descriptor %i, and reports on %i", async (commands, reports) => {
    const give = `exec ${commands}< <(printf 'echo hi\\0') ${reports}>&1`;
    const start = `${give}; exec bash /usr/lib/ramet/interpreter/kernels/bash.sh ${commands} ${reports}`;
    expect((await sandbox.commands.run(start)).stdout).toBe('{"done":0}\nhi\n{"done":0}\n');
  });

  it("goes on in JavaScript where code writes to what the kernel reports on", async () => {
    const run = (code: string) => sandbox.runCode(code, { language: "js", timeoutMs: 10_000 });
    await run("require('fs').writeSync(Number(process.argv[3]), 'no report'); 1");
    expect((await run("5")).text).toBe("5");
  });

  it("tells numbers that JSON does not have without a word of its own", async () => {
    const bars = "import matplotlib.pyplot as plt; _ = plt.bar(['a', 'b'], [1, float('nan')]); plt.show()";
    const { results, logs } = await sandbox.runCode(bars);
    expect(results[0]?.chart).toMatchObject({ elements: [{ value: 1 }, { value: null }] });
    expect(logs.stderr).toEqual([]);
  });

  it("starts a kernel that has ended anew", async () => {
    const { error } = await sandbox.runCode("import os; os._exit(3)", { language: "python" });
    expect(error).toMatchObject({
      name: "ContextRestarting",
      value: expect.stringContaining("exited with 3"),
    });
    expect((await sandbox.runCode("1 + 1")).text).toBe("2");
  });

  it("gives a kernel that runs already what a create from its snapshot adds, without a word of the shell", async () => {
    await sandbox.runCode(":", { language: "bash" });
    const { snapshotId } = await sandbox.createSnapshot();
    const envs = { ADDED: "it's new", "not.a-name": "1" };
    const other = await Sandbox.create(snapshotId, { ...options(), envs });
    const { logs } = await other.runCode("echo $ADDED", { language: "bash" });
    expect(logs).toEqual({ stdout: ["it's new\n"], stderr: [] });
    expect((await other.runCode("import os; os.environ['not.a-name']")).text).toBe("1");
    await other.kill();
    await Sandbox.deleteSnapshot(snapshotId, options());
  });

  it("starts a kernel anew that no interrupt ends, and runs what waits for it", async () => {
    const own = await sandbox.createCodeContext();
    const stay = "import time\nwhile True:\n  try: time.sleep(99)\n  except BaseException: pass";
    await expect(sandbox.runCode(stay, { context: own, timeoutMs: 1_000 })).rejects.toThrow(TimeoutError);
    const { text, error } = await sandbox.runCode("1 + 1", { context: own, timeoutMs: 30_000 });
    expect([text, error]).toEqual(["2", undefined]);
    await sandbox.removeCodeContext(own);
  }, 60_000);

  it("refuses a body that is nested too deep", async () => {
    const body = `{"code": "1", "more": ${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
    await sandbox.files.write("/tmp/deep", body);
    const ask = "curl -s -w ' %{http_code}' -d @/tmp/deep http://localhost:49999/execute";
    const { stdout } = await sandbox.commands.run(ask);
    expect(stdout).toBe("the body is not JSON, or nested too deep 400");
  });

  it("keeps traffic without a token out, where the sandbox is closed", async () => {
    const closed = await create({ network: { allowPublicTraffic: false } });
    expect((await closed.runCode("1 + 1")).text).toBe("2");
    const headers = { "E2b-Sandbox-Id": closed.sandboxId, "E2b-Sandbox-Port": "49999" };
    expect((await fetch(`${box.url}/contexts`, { headers })).status).toBe(403);
    await closed.kill();
  });

  it("goes on after pauses, and eight ways after a fork, each with its own state", async () => {
    await sandbox.runCode("import pandas as pd\ndf = pd.DataFrame({'n': range(100_000)})\nseen = []");
    await sandbox.runCode("let seen = 40", { language: "js" });
    for (const round of [1, 2]) {
      await sandbox.pause();
      sandbox = await Sandbox.connect(sandbox.sandboxId, options());
      expect((await sandbox.runCode(`seen.append(${round}); df.n.sum(), seen`)).text).toMatch(
        /^\(4999950000, /,
      );
    }
    const forks = (await sandbox.fork({ count: 8 })) as Sandbox[];
    const went = forks.map(async (fork, n) => {
      await fork.runCode(`df['n'] += ${n}; seen.append('fork')`);
      const { text } = await fork.runCode(
        "int(df.n.min()), seen, __import__('os').environ['E2B_SANDBOX_ID']",
      );
      const js = await fork.runCode(`seen += ${n}; seen`, { language: "js" });
      return { text, js: js.text };
    });
    expect(await Promise.all(went)).toEqual(
      forks.map((fork, n) => ({ text: `(${n}, [1, 2, 'fork'], '${fork.sandboxId}')`, js: `${40 + n}` })),
    );
    expect((await sandbox.runCode("int(df.n.min()), seen")).text).toBe("(0, [1, 2])");
    for (const fork of forks) await fork.kill();
  }, 240_000);
});
