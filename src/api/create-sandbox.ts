import type { CreateSandboxRequest, SandboxService } from "../gen/ramet/v1/sandbox_pb.js";
import type { Handlers } from "../lib/grpc-server.js";
import type { CreateOptions } from "../node/node.js";
import { parseLimits, sandboxToProto } from "./convert-sandbox.js";
import type { ApiDeps } from "./deps.js";
import {
  invalid,
  parseCwd,
  parseEnv,
  parseImageName,
  parseLabels,
  parseName,
  parseOptionalName,
  parseRef,
  parseUser,
  present,
} from "./parse.js";

export function createSandbox({ node }: ApiDeps): Pick<Handlers<typeof SandboxService>, "create"> {
  return {
    async create(request, { signal }) {
      const startedAt = performance.now();
      const { isWarm: warm, ...sandbox } = await node.sandboxes.create(parseCreate(request), signal);
      const durationMs = Math.round(performance.now() - startedAt);
      return { sandbox: sandboxToProto(sandbox), durationMs, warm };
    },
  };
}

function parseCreate(request: CreateSandboxRequest): CreateOptions {
  return {
    source: parseSource(request),
    labels: parseLabels(request.labels),
    env: parseEnv(request.env),
    ...present({ name: parseOptionalName(request.name) }),
  };
}

function parseSource(request: CreateSandboxRequest): CreateOptions["source"] {
  const { source, limits, user, cwd, allowPrivilegeEscalation } = request;
  if (source.case === undefined) throw invalid("a sandbox needs a template, an image or a checkpoint");
  if (source.case === "image")
    return {
      kind: "image",
      image: parseImageName(source.value),
      limits: parseLimits(limits),
      allowPrivilegeEscalation,
      ...present({ user: parseUser(user), cwd: parseCwd(cwd) }),
    };
  if (limits !== undefined || user !== "" || cwd !== "" || allowPrivilegeEscalation)
    throw invalid(
      `limits, user, working directory and privilege escalation cannot be chosen with a ${source.case}`,
      `a ${source.case} carries its own; give them to the template's build, or create from an image`,
    );
  if (source.case === "template") return { kind: "template", template: parseName(source.value, "template") };
  return { kind: "checkpoint", checkpoint: parseRef(source.value, "checkpoint") };
}
