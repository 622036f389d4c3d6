/** A node that exists in memory alone: it keeps slots, makes and deletes sandboxes, refuses what it has no room for. */
import { requestLabel } from "../../src/fleet/labels.js";
import type { HeldTemplate, NodeId, NodeReport, ReportedSandbox, SandboxNews } from "../../src/fleet/node.js";
import type { SandboxStatus } from "../../src/sandbox/state.js";

const mebibyte = 1024 * 1024;
export const slotBytes = 8 * mebibyte;
/** What a sandbox comes to use. Reports are of what is free now, so that nodes fill up and have to refuse. */
const sandboxBytes = 128 * mebibyte;
const slotsMadeMax = 20;

export interface AgentOptions {
  readonly id: NodeId;
  readonly memoryBytes: number;
  readonly templates: readonly string[];
  readonly checkpoints: readonly string[];
  readonly images: readonly string[];
}

export interface Agent {
  readonly id: NodeId;
  isUp: boolean;
  /** Undefined: it refuses. `template`: claims a slot of it, or restores one. */
  make(request: string, template: string | undefined): string | undefined;
  delete(id: string): void;
  find(id: string): ReportedSandbox | undefined;
  setSlots(template: string, count: number): void;
  /** Makes slots for a while. */
  work(): void;
  /** Its machine starts anew. */
  reboot(): void;
  report(): NodeReport;
  news(isWhole: boolean): SandboxNews;
  sandboxes(): Iterable<string>;
}

interface Held {
  readonly request: string;
  readonly status: SandboxStatus;
}

export function createAgent(options: AgentOptions, nextId: () => string): Agent {
  const { id, memoryBytes, templates, checkpoints, images } = options;
  const held = new Map<string, Held>();
  const slots = new Map<string, { told: number; readonly ready: string[] }>(
    templates.map((name) => [name, { told: 0, ready: [] }]),
  );
  const changed = new Set<string>();
  const countSlots = () => [...slots.values()].reduce((sum, { ready }) => sum + ready.length, 0);
  const freeBytes = () => memoryBytes - held.size * sandboxBytes - countSlots() * slotBytes;
  const reported = (sandbox: string): ReportedSandbox[] => {
    const it = held.get(sandbox);
    return it === undefined
      ? []
      : [{ id: sandbox, status: it.status, since: new Date(0), labels: { [requestLabel]: it.request } }];
  };
  const heldTemplate = (name: string): HeldTemplate => ({
    ...{
      name,
      checkpoint: `${id}-${name}`,
      slotsReady: slots.get(name)?.ready.length ?? 0,
      cloneBytes: slotBytes,
    },
  });
  return {
    id,
    isUp: true,
    make(request, template) {
      const slot = template === undefined ? undefined : slots.get(template)?.ready.pop();
      if (slot === undefined && freeBytes() < sandboxBytes) return undefined;
      const made = slot ?? nextId();
      held.set(made, { request, status: "running" });
      changed.add(made);
      return made;
    },
    delete(sandbox) {
      if (held.delete(sandbox)) changed.add(sandbox);
    },
    find: (sandbox) => reported(sandbox)[0],
    setSlots(template, count) {
      const it = slots.get(template);
      if (it === undefined) return;
      it.told = count;
      it.ready.splice(count);
    },
    work() {
      let left = slotsMadeMax;
      for (const { told, ready } of slots.values())
        while (ready.length < told && left-- > 0 && freeBytes() > sandboxBytes) ready.push(nextId());
    },
    reboot() {
      for (const it of slots.values()) it.ready.splice(0);
      for (const [sandbox, it] of held) held.set(sandbox, { ...it, status: "stopped" });
    },
    report: () => ({
      ...{ version: "0.1.0", cpus: 64, memoryBytes, memoryFreeBytes: freeBytes() },
      ...{ diskBytes: 1e12, diskFreeBytes: 9e11, load: held.size / 20 },
      ...{ templates: templates.map(heldTemplate), checkpoints, images },
    }),
    news(isWhole) {
      const ids = isWhole ? [...held.keys()] : [...changed];
      const gone = isWhole ? [] : ids.filter((sandbox) => !held.has(sandbox));
      changed.clear();
      return { isWhole, sandboxes: ids.flatMap(reported), gone };
    },
    sandboxes: () => held.keys(),
  };
}
