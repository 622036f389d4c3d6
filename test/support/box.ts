/** A node with an image and a template, and short words for what tests do in its sandboxes. */
import { afterAll, afterEach, beforeAll } from "vitest";
import { waitUntil } from "../../src/lib/signal.js";
import type { ForkOptions, Node } from "../../src/node/node.js";
import type { ExecInput, ExecOptions, ExitStatus } from "../../src/node/processes.js";
import type { Sandbox } from "../../src/sandbox/sandbox.js";
import type { TemplateSpec } from "../../src/template/template.js";
import { expectNoLeak, type Holder, type Holdings, holdingsOf } from "./leaks.js";
import { image, nodeNamespace, startTestNode, type TestNode } from "./node.js";

export interface Box {
  readonly node: Node;
  readonly test: TestNode;
  readonly holder: Holder;
  /** A sandbox restored from the template `base`. */
  create(options?: { name?: string; env?: Record<string, string> }): Promise<Sandbox>;
  /** A sandbox started from the image. */
  createCold(options?: Partial<Cold>): Promise<Sandbox>;
  /** Runs a bash script to its end, as root unless told otherwise; gives its trimmed output, fails when it fails. */
  sh(ref: string, script: string, options?: Partial<ExecOptions>): Promise<string>;
  run(ref: string, argv: readonly string[], options?: Partial<ExecOptions>): Promise<Outcome>;
  /** Starts a command and leaves it. */
  start(ref: string, argv: readonly string[], options?: Partial<ExecOptions>): Promise<number>;
  fork(ref: string, options?: Partial<ForkOptions>): Promise<readonly Sandbox[]>;
  buildTemplate(spec: Partial<TemplateSpec>, options?: { replace: boolean }): Promise<void>;
  /** What is held now, for `expectNoLeak` later in the same test. */
  holdings(): Promise<Holdings>;
  expectNoLeak(before: Holdings): Promise<void>;
  /** Events of one type about one sandbox, so far. */
  events(type: string, sandbox?: string): Promise<readonly Readonly<Record<string, string>>[]>;
}

type Cold = Extract<Parameters<Node["sandboxes"]["create"]>[0]["source"], { kind: "image" }>;

export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: ExitStatus | undefined;
}

export { image } from "./node.js";
export const soon = (): AbortSignal => AbortSignal.timeout(60_000);

export async function* noInput(): AsyncGenerator<ExecInput> {}

/**
 * Opens the node before the file's tests. After each test all that it made is removed, and nothing of it may be
 * left anywhere. `name` is a short word that no other file uses.
 */
export function openBox(name: string, sections?: Parameters<typeof startTestNode>[1]): Box {
  let test: TestNode;
  let before: Holdings;
  beforeAll(async () => {
    test = await startTestNode(name, sections);
    await box.buildTemplate({ name: "base" });
    before = await box.holdings();
  });
  afterEach(async () => {
    await wipe(test.node);
    await box.expectNoLeak(before);
  });
  afterAll(async () => {
    await test?.[Symbol.asyncDispose]();
  });
  const box: Box = {
    get node() {
      return test.node;
    },
    get test() {
      return test;
    },
    get holder() {
      return { namespace: nodeNamespace, dataDir: test.dataDir };
    },
    holdings: () => holdingsOf(box.holder),
    expectNoLeak: (held) => expectNoLeak(box.holder, held),
    ...sandboxWords(() => test.node),
    ...processWords(() => test.node),
    async events(type, sandbox) {
      const query = { sinceId: 0, follow: false, ...(sandbox === undefined ? {} : { sandbox }) };
      const all = await drain(test.node.events(query, soon()));
      return all.filter((event) => event.type === type).map(({ attributes }) => attributes);
    },
  };
  return box;
}

function sandboxWords(node: () => Node): Pick<Box, "create" | "createCold" | "fork" | "buildTemplate"> {
  return {
    create: ({ name, env = {} } = {}) =>
      node().sandboxes.create(
        {
          source: { kind: "template", template: "base" },
          labels: {},
          env,
          ...(name === undefined ? {} : { name }),
        },
        soon(),
      ),
    createCold: (options = {}) =>
      node().sandboxes.create(
        {
          source: { kind: "image", image, limits: {}, allowPrivilegeEscalation: false, ...options },
          labels: {},
          env: {},
        },
        soon(),
      ),
    async fork(ref, options = {}) {
      const events = await drain(
        node().sandboxes.fork(ref, { count: 1, labels: {}, env: {}, ...options }, soon()),
      );
      return events.flatMap((event) => {
        if (event.kind !== "clone") return [];
        if (!event.result.ok) throw event.result.error;
        return [event.result.sandbox];
      });
    },
    async buildTemplate(spec, options = { replace: false }) {
      const whole = {
        ...{ name: "t", image, readyTimeoutMs: 10_000, env: {}, limits: {} },
        ...{ allowPrivilegeEscalation: false, ...spec },
      };
      await drain(node().templates.build(whole, options, soon()));
    },
  };
}

function processWords(node: () => Node): Pick<Box, "run" | "sh" | "start"> {
  const whole = (argv: readonly string[], more: Partial<ExecOptions>): ExecOptions => ({
    ...{ argv, env: {}, user: "root", stdin: false, killOnClose: false },
    ...more,
  });
  const run: Box["run"] = async (ref, argv, more = {}) => {
    const output = { stdout: "", stderr: "" };
    const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
    let status: ExitStatus | undefined;
    for await (const event of node().processes.exec(ref, whole(argv, more), noInput(), soon())) {
      if (event.kind === "output")
        output[event.stream] += decoders[event.stream].decode(event.data, { stream: true });
      if (event.kind === "exited") status = event.status;
    }
    return { ...output, status };
  };
  return {
    run,
    async sh(ref, script, more = {}) {
      const { stdout, stderr, status } = await run(ref, ["bash", "-c", script], more);
      if (status?.kind === "code" && status.code === 0) return stdout.trim();
      throw new Error(`${script}: ${JSON.stringify(status)}: ${stdout}${stderr}`);
    },
    async start(ref, argv, more = {}) {
      return (await node().processes.start(ref, whole(argv, more), soon())).pid;
    },
  };
}

/** Removes sandboxes, checkpoints and templates, all but the template `base`. */
async function wipe(node: Node): Promise<void> {
  for (const { id } of await node.sandboxes.list({ statuses: [], labels: {} }))
    await node.sandboxes.delete(id, { force: true }, soon());
  for (const { template } of await node.templates.list())
    if (template.spec.name !== "base") await node.templates.delete(template.spec.name, soon());
  // A checkpoint stands on those under it.
  for (let left = await node.checkpoints.list({ all: false }); left.length > 0; ) {
    const free = left.filter(({ dependents }) => dependents.length === 0);
    if (free.length === 0) throw new Error(`checkpoints stay: ${JSON.stringify(left)}`);
    for (const { checkpoint } of free) await node.checkpoints.delete(checkpoint.id, soon());
    left = await node.checkpoints.list({ all: false });
  }
  for (const { name } of await node.images.list(soon()))
    if (name !== image) await node.images.delete(name, soon());
}

export async function drain<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Waits until it holds; a condition that throws does not hold yet. */
export async function becomes(
  what: string,
  holds: () => Promise<boolean>,
  timeoutMs = 15_000,
): Promise<void> {
  await waitUntil(what, () => holds().catch(() => false), { intervalMs: 20, timeoutMs });
}
