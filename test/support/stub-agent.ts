/** An API over a stub node, and `ramet` run against it. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import { serveApi } from "../../src/api/serve.js";
import type { CaughtSignal } from "../../src/cli/io.js";
import { openScope, type Scope } from "../../src/lib/scope.js";
import type { ExecEvent, ExecInput, ExecOptions } from "../../src/node/processes.js";
import { type RunOptions, runCli } from "./cli.js";
import { type StubParts, stubNode } from "./stub-node.js";

/** To be called once in a test file; what it gives serves for one test at a time. */
export function useStubAgent() {
  let directory: string;
  let scope: Scope;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "ramet-cli-"));
    scope = openScope();
    scope.defer(() => rm(directory, { recursive: true, force: true }));
  });
  afterEach(() => scope[Symbol.asyncDispose]());

  async function serve(parts: StubParts) {
    const socketPath = join(directory, "agent.sock");
    const log = { error: () => {} };
    scope.use(
      await serveApi({ node: stubNode(parts), socketPath, log, graceMs: 100 }, new AbortController().signal),
    );
    return (words: readonly string[], options: RunOptions = {}) =>
      runCli(words, { ...options, env: { ...options.env, RAMET_SOCKET: socketPath } });
  }

  return serve;
}

type Exec = (
  options: ExecOptions,
  input: AsyncIterable<ExecInput>,
  signal: AbortSignal,
) => AsyncIterable<ExecEvent>;

/** A node's processes that only exec. */
export function processes(exec: Exec) {
  return {
    exec: (_ref: string, options: ExecOptions, input: AsyncIterable<ExecInput>, signal: AbortSignal) =>
      exec(options, input, signal),
  };
}

export const started: ExecEvent = { kind: "started", pid: 7, droppedBytes: 0 };
export const exited = (code: number): ExecEvent => ({ kind: "exited", status: { kind: "code", code } });
export const output = (stream: "stdout" | "stderr", data: Uint8Array): ExecEvent => ({
  kind: "output",
  stream,
  data,
  seq: 1,
});

/** The way to signal a running command. */
export function keyboard() {
  let send = (_name: CaughtSignal) => {};
  const onStart = (signal: (name: CaughtSignal) => void) => {
    send = signal;
  };
  return { onStart, press: (name: CaughtSignal) => send(name) };
}

/** Resolves once the command has printed something. */
export function heard() {
  let hear = () => {};
  const promise = new Promise<void>((done) => {
    hear = done;
  });
  return { promise, hear };
}
