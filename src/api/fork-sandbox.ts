import type { SandboxService } from "../gen/ramet/v1/sandbox_pb.js";
import type { Handlers } from "../lib/grpc-server.js";
import { forkEventToProto } from "./convert-sandbox.js";
import type { ApiDeps } from "./deps.js";
import { parseCount, parseEnv, parseLabels, parseOptionalName, parseRef, present } from "./parse.js";

const countMax = 1000;

export function forkSandbox({ node }: ApiDeps): Pick<Handlers<typeof SandboxService>, "fork"> {
  return {
    async *fork(request, { signal }) {
      const options = {
        count: parseCount(request.count, "count", 1, countMax),
        labels: parseLabels(request.labels),
        env: parseEnv(request.env),
        ...present({ namePrefix: parseOptionalName(request.namePrefix, "name prefix") }),
      };
      for await (const event of node.sandboxes.fork(parseRef(request.sandbox), options, signal))
        yield forkEventToProto(event);
    },
  };
}
