/** Templates as people ask about them. */
import { DomainError } from "../lib/errors.js";
import { type SlotTarget, slotsMax, type Template } from "../template/template.js";
import { buildTemplate } from "./build-template.js";
import type { Deps } from "./deps.js";
import type { Templates, TemplateView } from "./node.js";
import { reapUnused } from "./reap.js";
import type { Slots } from "./slots.js";

export function openTemplateVerbs(deps: Deps, slots: Pick<Slots, "tend" | "view" | "estimate">): Templates {
  const { store } = deps;
  const view = async (template: Template): Promise<TemplateView> => {
    const { state } = template;
    const golden = state.status === "ready" ? store.checkpoints.peek(state.checkpoint) : undefined;
    const cloneBytes = golden === undefined ? 0 : await slots.estimate(golden.id).catch(() => 0);
    return { template, memoryBytes: golden?.memoryBytes ?? 0, cloneBytes, slots: slots.view(template) };
  };
  return {
    build: (spec, options, signal) => buildTemplate(deps, slots, spec, options, signal),
    get: async (name) => view(store.templates.get(name)),
    list: async () => Promise.all(store.templates.list().map(view)),
    async setSlots(name, target) {
      checkTarget(target);
      const changed = store.transact((writer) =>
        writer.templates.update(name, (template) => ({ ...template, slots: target })),
      );
      slots.tend();
      return view(changed);
    },
    delete: (name, signal) =>
      deps.queue.run(
        `template ${name}`,
        async () => {
          const { state } = store.templates.get(name);
          if (state.status === "building")
            throw new DomainError("failed_precondition", `template ${name} is being built`);
          store.transact((writer) => writer.templates.delete(name));
          deps.record("template.deleted", { attributes: { template: name } });
          // Its slots stand on the golden checkpoint, which goes with the last of them.
          slots.tend();
          if (state.status === "ready") await reapUnused(deps, state.checkpoint);
        },
        signal,
      ),
  };
}

function checkTarget({ min, max }: SlotTarget): void {
  const isCount = (count: number) => Number.isInteger(count) && count >= 0 && count <= slotsMax;
  if (isCount(min) && isCount(max) && min <= max) return;
  throw new DomainError("invalid_argument", `cannot keep ${min} to ${max} slots`, {
    hint: `a minimum, and a maximum that is not below it, both from 0 to ${slotsMax}`,
  });
}
