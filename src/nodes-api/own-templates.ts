/** Templates of all nodes, each as its node describes it: one that several have is there as often. */
import { create } from "@bufbuild/protobuf";
import { TemplateSchema, type TemplateService } from "../gen/ramet/v1/template_pb.js";
import { isDomainError } from "../lib/errors.js";
import type { Handlers } from "../lib/grpc-server.js";
import { mapLimited } from "../lib/limit.js";
import type { NodeView } from "../registry/nodes.js";
import type { GatewayDeps } from "./deps.js";

const nodesAtOnce = 32;
const nodeMs = 15_000;

export function ownTemplates({
  nodes,
  callerOf,
}: GatewayDeps): Pick<Handlers<typeof TemplateService>, "list"> {
  async function ofNode({ record }: NodeView, _index: number, signal: AbortSignal) {
    try {
      const { templates } = await nodes.api(record.id).templates.list({}, { signal, timeoutMs: nodeMs });
      return templates.map((template) => create(TemplateSchema, { ...template, node: record.name }));
    } catch (thrown) {
      // Nobody can create from them now; `ramet node ls` says that the node is away.
      if (isDomainError(thrown, "unavailable") || isDomainError(thrown, "deadline_exceeded")) return [];
      throw thrown;
    }
  }
  return {
    async list(_request, { metadata, signal }) {
      await callerOf(metadata);
      const perNode = await mapLimited(nodes.list(), nodesAtOnce, ofNode, signal);
      return { templates: perNode.flat().sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)) };
    },
  };
}
