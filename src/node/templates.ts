/** Templates as people ask about them. */
import { DomainError } from "../lib/errors.js";
import type { Template } from "../template/template.js";
import { buildTemplate } from "./build-template.js";
import type { Deps } from "./deps.js";
import type { Templates, TemplateView } from "./node.js";
import { reapUnused } from "./reap.js";

export function openTemplateVerbs(deps: Deps): Templates {
  const { store } = deps;
  const view = (template: Template): TemplateView => {
    const { state } = template;
    const golden = state.status === "ready" ? store.checkpoints.peek(state.checkpoint) : undefined;
    return { template, memoryBytes: golden?.memoryBytes ?? 0 };
  };
  return {
    build: (spec, options, signal) => buildTemplate(deps, spec, options, signal),
    get: async (name) => view(store.templates.get(name)),
    list: async () => store.templates.list().map(view),
    delete: (name, signal) =>
      deps.queue.run(
        `template ${name}`,
        async () => {
          const { state } = store.templates.get(name);
          if (state.status === "building")
            throw new DomainError("failed_precondition", `template ${name} is being built`);
          store.templates.delete(name);
          deps.record("template.deleted", { attributes: { template: name } });
          if (state.status === "ready") await reapUnused(deps, state.checkpoint);
        },
        signal,
      ),
  };
}
