/** The moves of a sandbox's lifecycle: pause, resume, roll back, stop, delete. */
import type { SandboxService } from "../gen/ramet/v1/sandbox_pb.js";
import type { Handlers } from "../lib/grpc-server.js";
import { sandboxToProto } from "./convert-sandbox.js";
import type { ApiDeps } from "./deps.js";
import { parseCount, parseRef } from "./parse.js";

const graceMsDefault = 10_000;
const graceMsMax = 60_000;

type Moves = Pick<Handlers<typeof SandboxService>, "pause" | "resume" | "rollBack" | "stop" | "delete">;

export function moveSandbox({ node }: ApiDeps): Moves {
  return {
    async pause(request, { signal }) {
      const startedAt = performance.now();
      const ref = parseRef(request.sandbox);
      const { sandbox, memoryBytes } = await pause(node, ref, request.withoutMemory, signal);
      return {
        sandbox: sandboxToProto(sandbox),
        durationMs: Math.round(performance.now() - startedAt),
        memoryBytes: BigInt(memoryBytes),
      };
    },
    async resume(request, { signal }) {
      const startedAt = performance.now();
      const { resume, resumeWithoutMemory } = node.sandboxes;
      const verb = request.withoutMemory ? resumeWithoutMemory : resume;
      const sandbox = await verb(parseRef(request.sandbox), signal);
      return { sandbox: sandboxToProto(sandbox), durationMs: Math.round(performance.now() - startedAt) };
    },
    async rollBack(request, { signal }) {
      const startedAt = performance.now();
      const sandbox = await node.sandboxes.rollBack(
        parseRef(request.sandbox),
        { checkpoint: parseRef(request.checkpoint) },
        signal,
      );
      return { sandbox: sandboxToProto(sandbox), durationMs: Math.round(performance.now() - startedAt) };
    },
    async stop(request, { signal }) {
      const graceMs = parseCount(request.graceMs, "grace period (ms)", 0, graceMsMax) || graceMsDefault;
      return {
        sandbox: sandboxToProto(await node.sandboxes.stop(parseRef(request.sandbox), { graceMs }, signal)),
      };
    },
    async delete(request, { signal }) {
      await node.sandboxes.delete(parseRef(request.sandbox), { force: request.force }, signal);
      return {};
    },
  };
}

async function pause(
  { sandboxes }: ApiDeps["node"],
  ref: string,
  withoutMemory: boolean,
  signal: AbortSignal,
) {
  if (withoutMemory) return { sandbox: await sandboxes.pauseWithoutMemory(ref, signal), memoryBytes: 0 };
  const { sandbox, checkpoint } = await sandboxes.pause(ref, signal);
  return { sandbox, memoryBytes: checkpoint.memoryBytes };
}
