/** The agent's API as typed functions over its unix socket. */
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { dirname, resolve } from "node:path";
import { CheckpointService } from "../gen/ramet/v1/checkpoint_pb.js";
import { FileService } from "../gen/ramet/v1/file_pb.js";
import { ImageService } from "../gen/ramet/v1/image_pb.js";
import { NodeService } from "../gen/ramet/v1/node_pb.js";
import { ProcessService } from "../gen/ramet/v1/process_pb.js";
import { SandboxService } from "../gen/ramet/v1/sandbox_pb.js";
import { TemplateService } from "../gen/ramet/v1/template_pb.js";
import { DomainError } from "../lib/errors.js";
import { type Client, type ClientOptions, createClient, openChannel } from "../lib/grpc.js";
import { errorFromStatus } from "./client-errors.js";

export interface Api extends Disposable {
  readonly sandboxes: Client<typeof SandboxService>;
  readonly processes: Client<typeof ProcessService>;
  readonly files: Client<typeof FileService>;
  readonly checkpoints: Client<typeof CheckpointService>;
  readonly templates: Client<typeof TemplateService>;
  readonly images: Client<typeof ImageService>;
  readonly node: Client<typeof NodeService>;
}

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
  const defaults: ClientOptions = {
    timeoutMs,
    toError: (error) => errorFromStatus(error, { socketPath, timeoutMs }),
  };
  return {
    sandboxes: createClient(SandboxService, channel, defaults),
    processes: createClient(ProcessService, channel, defaults),
    files: createClient(FileService, channel, defaults),
    checkpoints: createClient(CheckpointService, channel, defaults),
    templates: createClient(TemplateService, channel, defaults),
    images: createClient(ImageService, channel, defaults),
    node: createClient(NodeService, channel, defaults),
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
