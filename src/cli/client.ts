/** The agent's API as typed functions over its unix socket. */
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { dirname, resolve } from "node:path";
import { type AgentApi, agentApi } from "../agent-client/agent-api.js";
import { DomainError } from "../lib/errors.js";
import { openChannel } from "../lib/grpc.js";
import { errorFromStatus } from "../lib/grpc-errors.js";

export interface Api extends AgentApi, Disposable {}

export interface ConnectOptions {
  readonly socketPath: string;
  /** Bound of each unary call; 0: none. */
  readonly timeoutMs: number;
  /** How long to wait for an agent that is just starting. Default 1,500 ms. */
  readonly waitMs?: number;
}

const waitMsDefault = 1500;
const retryMs = 100;

/** Connects to a running agent. `unavailable` when there is none; `failed_precondition` when it is not for us. */
export async function connectAgent(options: ConnectOptions, signal: AbortSignal): Promise<Api> {
  const { socketPath, timeoutMs, waitMs = waitMsDefault } = options;
  await waitUntilAnswered(socketPath, waitMs, signal);
  const channel = openChannel(`unix:${resolve(socketPath)}`);
  const facts = {
    callee: `the agent at ${socketPath}`,
    timeoutMs,
    timeoutHint: "give it longer with --timeout; 0 means no limit",
  };
  return {
    ...agentApi(channel, { timeoutMs, toError: (error) => errorFromStatus(error, facts) }),
    [Symbol.dispose]: () => channel.close(),
  };
}

async function waitUntilAnswered(socketPath: string, waitMs: number, signal: AbortSignal): Promise<void> {
  const until = Date.now() + waitMs;
  for (;;) {
    const failure = await probe(socketPath);
    if (failure === undefined) return;
    // Without even the run directory no agent is on its way.
    const isStarting =
      failure.code === "ECONNREFUSED" || (failure.code === "ENOENT" && existsSync(dirname(socketPath)));
    if (!isStarting || Date.now() >= until) throw unreachable(socketPath, failure);
    await pause(retryMs, signal);
  }
}

function probe(socketPath: string): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((done) => {
    const socket = connect(socketPath);
    socket.once("connect", () => {
      socket.destroy();
      done(undefined);
    });
    socket.once("error", done);
  });
}

function unreachable(socketPath: string, cause: NodeJS.ErrnoException): DomainError {
  if (cause.code === "EACCES" || cause.code === "EPERM")
    return new DomainError("failed_precondition", `no permission to use the agent's socket ${socketPath}`, {
      cause,
      hint: "it belongs to root: try again with sudo",
    });
  const why = cause.code === "ENOENT" ? "there is no such socket" : "nothing listens there";
  return new DomainError("unavailable", `cannot reach the agent at ${socketPath}: ${why}`, {
    cause,
    hint: "start it with `rametd agent` (or ./scripts/quickstart), or name its socket with --socket",
  });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done, reject) => {
    signal.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      done();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}
