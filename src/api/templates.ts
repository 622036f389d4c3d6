import type { TemplateService } from "../gen/ramet/v1/template_pb.js";
import type { Handlers } from "../lib/grpc-server.js";
import { parseTemplateSpec, templateToProto } from "./convert-stored.js";
import type { ApiDeps } from "./deps.js";
import { parseName } from "./parse.js";

export function templates({ node }: ApiDeps): Handlers<typeof TemplateService> {
  return {
    async *build(request, { signal }) {
      const spec = parseTemplateSpec(request);
      const { replace } = request;
      for await (const { step, message, template } of node.templates.build(spec, { replace }, signal)) {
        if (template === undefined) yield { step, message };
        else yield { step, message, template: templateToProto(await node.templates.get(template.spec.name)) };
      }
    },
    async get(request) {
      return { template: templateToProto(await node.templates.get(parseName(request.name))) };
    },
    async list() {
      return { templates: (await node.templates.list()).map(templateToProto) };
    },
    async setSlots({ name, min, max }) {
      return { template: templateToProto(await node.templates.setSlots(parseName(name), { min, max })) };
    },
    async delete(request, { signal }) {
      await node.templates.delete(parseName(request.name), signal);
      return {};
    },
  };
}
