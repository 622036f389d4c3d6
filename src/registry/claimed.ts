/** How many sandboxes of each template are claimed: they run, or are about to. */
import type { SandboxOutline } from "../fleet/sandbox.js";
import type { RegistryStore } from "../registry-store/registry-store.js";
import { isRunning } from "./usage.js";

export interface Claimed {
  /** By the name that nodes know; none of a template that nobody has asked for yet. */
  of(template: string): Promise<number>;
  /** A record has changed, or is gone. */
  changed(id: string, sandbox: SandboxOutline | undefined): void;
}

export function createClaimed(catalogue: Pick<RegistryStore["catalogue"], "findTemplate">): Claimed {
  const byTemplate = new Map<string, Set<string>>();
  const templateOf = new Map<string, string>();

  function forget(id: string): void {
    const template = templateOf.get(id);
    if (template === undefined) return;
    templateOf.delete(id);
    const ids = byTemplate.get(template);
    ids?.delete(id);
    if (ids?.size === 0) byTemplate.delete(template);
  }

  return {
    async of(name) {
      const found = await catalogue.findTemplate(name);
      // It may be another one's alias.
      return found?.name === name ? (byTemplate.get(found.id)?.size ?? 0) : 0;
    },
    changed(id, sandbox) {
      forget(id);
      if (sandbox === undefined || !isRunning(sandbox)) return;
      templateOf.set(id, sandbox.template);
      const ids = byTemplate.get(sandbox.template) ?? new Set();
      byTemplate.set(sandbox.template, ids.add(id));
    },
  };
}
