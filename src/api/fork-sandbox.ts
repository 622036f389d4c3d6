import type { SandboxService } from "../gen/ramet/v1/sandbox_pb.js";
import type { Handlers } from "../lib/grpc-server.js";
import { forkEventToProto, sandboxToProto } from "./convert-sandbox.js";
import type { ApiDeps } from "./deps.js";
import { parseCount, parseEnv, parseLabels, parseOptionalName, parseRef, present } from "./parse.js";

const countMax = 1000;

export function forkSandbox({ node }: ApiDeps): Pick<Handlers<typeof SandboxService>, "fork" | "keep"> {
  return {
    async keep({ sandbox: ref, replaceSource }, { signal }) {
      const { sandbox, dropped } = await node.sandboxes.keep(parseRef(ref), { replaceSource }, signal);
      return { sandbox: sandboxToProto(sandbox), dropped: [...dropped] };
    },
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
