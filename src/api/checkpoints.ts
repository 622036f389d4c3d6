import type { CheckpointService } from "../gen/ramet/v1/checkpoint_pb.js";
import type { Handlers } from "../lib/grpc-server.js";
import { checkpointToProto, checkpointViewToProto } from "./convert-stored.js";
import type { ApiDeps } from "./deps.js";
import { parseOptionalName, parseRef, present } from "./parse.js";

export function checkpoints({ node }: ApiDeps): Handlers<typeof CheckpointService> {
  return {
    async create(request, { signal }) {
      const startedAt = performance.now();
      const options = present({ name: parseOptionalName(request.name) });
      const checkpoint = await node.checkpoints.create(parseRef(request.sandbox), options, signal);
      const durationMs = Math.round(performance.now() - startedAt);
      return { checkpoint: checkpointToProto(checkpoint), durationMs };
    },
    async list(request) {
      const sandbox = request.sandbox === "" ? undefined : parseRef(request.sandbox);
      const views = await node.checkpoints.list({ all: request.all, ...present({ sandbox }) });
      return { checkpoints: views.map(checkpointViewToProto) };
    },
    async get(request) {
      const view = await node.checkpoints.get(parseRef(request.checkpoint, "checkpoint"));
      return { checkpoint: { ...checkpointViewToProto(view), manifestJson: view.manifestJson } };
    },
    async verify(request, { signal }) {
      const problems = await node.checkpoints.verify(parseRef(request.checkpoint, "checkpoint"), signal);
      return { problems: [...problems] };
    },
    async delete(request, { signal }) {
      await node.checkpoints.delete(parseRef(request.checkpoint, "checkpoint"), signal);
      return {};
    },
  };
}
